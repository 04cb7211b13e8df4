/** How a command in the guest ended, in words: for marks in a trace. */
import { type ExecResult } from '../channel';

export function wordEnd(end: ExecResult | Error): string {
  if (end instanceof Error) return `failed, ${end.message.split('\n')[0]}`;
  if (end.timedOut) return 'was killed at its time limit';
  return end.signal === undefined ? `ended with exit code ${end.exitCode}` : `was ended by ${end.signal}`;
}
