/** Opens the recording that a command is given, and says what is missing in it. */
import { statSync } from 'node:fs';
import { notSeen, TraceCards } from '../../../instrumentation/analysis';
import { readTrace, type Trace, type TraceEvent, TraceReader } from '../../../instrumentation/trace';
import { EXIT, UsageError } from '../../common/errors';
import { sayError } from '../../common/output';
import { endWith } from '../../common/own-process';

/** @throws UsageError when there is no such file; TraceFormatError when it is no recording */
export const openTrace = (path: string): TraceReader => opening(path, () => new TraceReader(path));

/** All of it; what is missing is said on standard error. Throws as `openTrace` does. */
export function loadTrace(path: string): Trace {
  const trace = opening(path, () => readTrace(path));
  if (!trace.isEnded) sayError(`${path} has no end: the run was killed, or is still going on`);
  reportDamage(path, trace.damage);
  return trace;
}

const SHOWN_DAMAGE = 8;

/** The command has failed when something in the file is damaged, even if it could do its work with the rest. */
export function reportDamage(path: string, damage: readonly string[] = []): void {
  if (damage.length === 0) return;
  const places = damage.length === 1 ? 'one place' : `${damage.length} places`;
  const shown = damage.slice(0, SHOWN_DAMAGE).map((each) => `\n  ${each}`);
  const more = damage.length > SHOWN_DAMAGE ? `\n  and ${damage.length - SHOWN_DAMAGE} more` : '';
  sayError(`${path} is damaged in ${places}; everything else in it has been read:${shown.join('')}${more}`);
  endWith(EXIT.FAILED);
}

/**
 * Feeds it to a counter event by event, without all of it in memory. Returns warnings of what is not in it, and what is
 * damaged in it, for JSON.
 */
export function countEvents(
  path: string,
  counter: { take(event: TraceEvent): void },
): { notSeen: string[]; damage?: readonly string[] } {
  using reader = openTrace(path);
  const cards = new TraceCards();
  for (const event of reader.events()) {
    counter.take(event);
    cards.note(event);
  }
  const { header, isEnded, damage } = reader;
  reportDamage(path, damage);
  return { notSeen: notSeen(header, cards, isEnded), ...(damage.length > 0 && { damage }) };
}

function opening<T>(path: string, open: () => T): T {
  try {
    // Opening a FIFO would wait for a writer.
    const status = statSync(path);
    if (!status.isFile() && !status.isDirectory()) {
      throw new UsageError(`${path} is not a file: a recording is read from a file`);
    }
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UsageError(`${path}: there is no such file`);
    if (code === 'ENOTDIR') throw new UsageError(`${path}: there is no such file: what should be its folder is a file`);
    if (code === 'EISDIR') throw new UsageError(`${path} is a folder: name the file in it, run.trace perhaps`);
    throw error;
  }
}
