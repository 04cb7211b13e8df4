/** For tests: why an access to host memory fails. */
import { DmaError } from '../../emulator/memory/dma-error';

export function reasonOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof DmaError) return error.reason;
    throw error;
  }
  return 'no error';
}
