/** Opens the recording that a command is given. */
import { TraceReader } from '../../../../emulator/trace';
import { UsageError } from '../../usage-error';

/** @throws UsageError when there is no such file; TraceFormatError when it is no recording */
export function openTrace(path: string): TraceReader {
  try {
    return new TraceReader(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UsageError(`${path}: there is no such file`);
    if (code === 'EISDIR') throw new UsageError(`${path} is a folder: name the file in it, run.trace perhaps`);
    throw error;
  }
}
