/**
 * Shows progress to a person: on a terminal one line that is updated in place, elsewhere a plain line from time to
 * time, so that the log of a build server stays readable.
 */
import { type ProgressEvent, type ProgressListener } from './progress';

/** Where progress is written: a stream, such as `process.stderr`. */
export interface TextSink {
  /** Writes a line, or a part of one. */
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Without a terminal, a long step prints a line this often. */
const PLAIN_LINE_EVERY_MS = 5_000;
const ERASE_LINE = '\r\x1b[2K';

export function formatBytes(sizeBytes: number): string {
  if (sizeBytes < 1e6) return `${(sizeBytes / 1e3).toFixed(0)} kB`;
  return `${(sizeBytes / 1e6).toFixed(sizeBytes < 1e7 ? 1 : 0)} MB`;
}

export function formatEvent(event: ProgressEvent): string {
  const { doneBytes, totalBytes } = event;
  const amount =
    totalBytes === undefined
      ? ''
      : `: ${formatBytes(doneBytes ?? 0)} of ${formatBytes(totalBytes)}` +
        (totalBytes > 0 ? ` (${Math.floor(((doneBytes ?? 0) / totalBytes) * 100)}%)` : '');
  return `${event.step.padEnd(11)} ${event.what}${amount}, ${(event.elapsedMs / 1e3).toFixed(1)} s`;
}

/** A listener that writes to `sink`. Default: standard error. */
export function terminalProgress(sink: TextSink = process.stderr): ProgressListener {
  return sink.isTTY === true ? updatingLine(sink) : plainLines(sink);
}

function updatingLine(sink: TextSink): ProgressListener {
  return (event) => {
    const line = formatEvent(event).slice(0, (sink.columns ?? 80) - 1);
    sink.write(`${ERASE_LINE}${line}${event.finished ? '\n' : ''}`);
  };
}

function plainLines(sink: TextSink): ProgressListener {
  let last: ProgressEvent | undefined;
  return (event) => {
    const { doneBytes, totalBytes } = event;
    const isWhole = totalBytes !== undefined && doneBytes === totalBytes && last?.doneBytes !== doneBytes;
    const news = event.finished === true || last?.step !== event.step || last.what !== event.what || isWhole;
    if (!news && last !== undefined && event.elapsedMs - last.elapsedMs < PLAIN_LINE_EVERY_MS) return;
    last = event;
    sink.write(`${formatEvent(event)}\n`);
  };
}
