import { expect, test } from 'vitest';
import { type ProgressEvent } from './progress';
import { formatBytes, formatEvent, terminalProgress } from './progress-terminal';

const event: ProgressEvent = { step: 'qemu', what: 'downloading 70 packages', elapsedMs: 1234 };

function sink(isTTY: boolean): { written: string[]; write: (text: string) => number; isTTY: boolean; columns: number } {
  const written: string[] = [];
  return { written, write: (text) => written.push(text), isTTY, columns: 60 };
}

test('an event shows its step, its work, how much of it is done, and the time', () => {
  expect(formatEvent({ ...event, doneBytes: 17_500_000, totalBytes: 35_000_000 })).toBe(
    'qemu        downloading 70 packages: 18 MB of 35 MB (50%), 1.2 s',
  );
  expect(formatEvent(event)).toBe('qemu        downloading 70 packages, 1.2 s');
});

test('amounts are shown in a suitable unit', () => {
  expect([900, 928_188, 1_400_000, 181_000_000].map(formatBytes)).toEqual(['1 kB', '928 kB', '1.4 MB', '181 MB']);
});

test('on a terminal a single line is updated, cut to the width, and ended with the step', () => {
  const terminal = sink(true);
  const show = terminalProgress(terminal);
  show({ ...event, what: 'x'.repeat(100) });
  show({ ...event, what: 'done', finished: true });
  expect(terminal.written[0]).toBe(`\r\x1b[2Kqemu        ${'x'.repeat(47)}`);
  expect(terminal.written[1]).toBe('\r\x1b[2Kqemu        done, 1.2 s\n');
});

test('without a terminal there is a line for each change, and one from time to time during long work', () => {
  const log = sink(false);
  const show = terminalProgress(log);
  for (const elapsedMs of [0, 1_000, 4_999, 5_000, 6_000, 10_100]) show({ ...event, elapsedMs });
  show({ ...event, what: 'unpacking', elapsedMs: 10_200 });
  show({ ...event, what: 'unpacking', elapsedMs: 10_300, finished: true });
  expect(log.written.map((line) => line.replace(/^.*, /, '').trim())).toEqual([
    '0.0 s',
    '5.0 s',
    '10.1 s',
    '10.2 s',
    '10.3 s',
  ]);
});

test('without a terminal a finished download is always shown', () => {
  const log = sink(false);
  const show = terminalProgress(log);
  for (const doneBytes of [0, 10, 20, 20]) show({ ...event, doneBytes, totalBytes: 20 });
  expect(log.written.map((line) => /\((.*)\)/.exec(line)?.[1])).toEqual(['0%', '100%']);
});
