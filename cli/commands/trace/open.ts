/** Opens the recording that a command is given. */
import { notSeen, TraceCards } from '../../../instrumentation/analysis';
import { readTrace, type Trace, type TraceEvent, TraceReader } from '../../../instrumentation/trace';
import { UsageError } from '../../common/errors';

/** @throws UsageError when there is no such file; TraceFormatError when it is no recording */
export const openTrace = (path: string): TraceReader => opening(path, () => new TraceReader(path));

/** All of it. Throws as `openTrace` does. */
export const loadTrace = (path: string): Trace => opening(path, () => readTrace(path));

/** Feeds it to a counter event by event, without all of it in memory. Returns warnings of what is not in it. */
export function countEvents(path: string, counter: { take(event: TraceEvent): void }): string[] {
  using reader = openTrace(path);
  const cards = new TraceCards();
  let isEnded = false;
  for (const event of reader.events()) {
    counter.take(event);
    cards.note(event);
    isEnded = event.kind === 'end';
  }
  return notSeen(reader.header, cards, isEnded);
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UsageError(`${path}: there is no such file`);
    if (code === 'ENOTDIR') throw new UsageError(`${path}: there is no such file: what should be its folder is a file`);
    if (code === 'EISDIR') throw new UsageError(`${path} is a folder: name the file in it, run.trace perhaps`);
    throw error;
  }
}
