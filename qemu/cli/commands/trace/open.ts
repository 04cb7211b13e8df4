/** Opens the recording that a command is given. */
import { readTrace, type Trace, TraceReader } from '../../../../emulator/trace';
import { UsageError } from '../../usage-error';

/** @throws UsageError when there is no such file; TraceFormatError when it is no recording */
export const openTrace = (path: string): TraceReader => opening(path, () => new TraceReader(path));

/** All of it. Throws as `openTrace` does. */
export const loadTrace = (path: string): Trace => opening(path, () => readTrace(path));

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UsageError(`${path}: there is no such file`);
    if (code === 'EISDIR') throw new UsageError(`${path} is a folder: name the file in it, run.trace perhaps`);
    throw error;
  }
}
