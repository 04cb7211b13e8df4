/** What a failed test reports about its guest and cards, and the artifacts that it leaves. */
import { rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { makeFolder } from '../emulator/native/index.ts';
import { describeTrace } from '../instrumentation/trace/index.ts';
import { type TestGuest } from './test-guest.ts';
import { REPORT_FILE, TRACE_FILE, type TestRecording } from './test-recording.ts';

const CONSOLE_LINES = 20;
const CARD_EVENTS = 12;
const COMMANDS = 5;
const NOTES = 5;
/** The title that errors of a guest that died have, too. */
const CONSOLE_TITLE = "The guest's console";

/**
 * The last accesses of each card, the last commands and lines of the console, and where everything is kept.
 * @param message why the test failed: what it quotes is not shown again
 * @param where where everything is kept, a line each
 */
export function failureReport(guest: TestGuest, message: string, where: readonly string[]): string {
  const cards = guest.cards.map((plugged) => {
    const latest = plugged.traces.at(-1);
    const lines = latest === undefined ? [] : describeTrace(latest, { last: CARD_EVENTS, withoutConfig: true });
    const findings = plugged.traces.flatMap((trace) => trace.findings.map(({ text }) => text));
    const left = findings.length === 0 ? [] : [block(`What is left to say of the card ${plugged.name}`, findings)];
    return [block(`The last accesses of the card ${plugged.describe()}`, lines), ...left].join('\n');
  });
  const commands = block('The last commands in the guest', guest.commandsTail(COMMANDS));
  const notes = guest.notes.length === 0 ? [] : [block('Notes on the cards', guest.notes.slice(-NOTES))];
  const quoted = message.includes(CONSOLE_TITLE);
  const console = quoted ? [] : [block(CONSOLE_TITLE, guest.consoleTail(CONSOLE_LINES))];
  return [...cards, ...notes, commands, ...console, ...where].join('\n');
}

export const logsIn = (folder: string): string => `Console, accesses and QEMU's messages: ${relative('.', folder)}`;

export function recordingIn(folder: string, { problems }: TestRecording): string {
  const path = relative('.', join(folder, TRACE_FILE));
  return [`Recording of the cards: ${path}, and ${REPORT_FILE} beside it, for a browser`, ...problems].join('\n');
}

/** What is kept after a test. */
interface Kept {
  /** The logs of its guest, and the accesses of its cards. */
  readonly logs?: TestGuest;
  readonly recording?: TestRecording;
}

/** Writes it into a folder, and replaces what an earlier run has left there. */
export async function keepTestArtifacts(folder: string, { logs, recording }: Kept): Promise<void> {
  if (!logs && !recording) return;
  await rm(folder, { recursive: true, force: true });
  makeFolder(folder);
  await recording?.keepIn(folder);
  await logs?.rig.keepArtifacts(folder);
  for (const plugged of logs?.cards ?? []) {
    const lines = plugged.traces.flatMap((trace) => [plugged.describe(), ...describeTrace(trace), '']);
    await writeFile(join(folder, `${plugged.name}-accesses.log`), lines.join('\n'));
  }
}

/** A folder name from the name of a test. */
export function folderNameOf(words: string): string {
  return (
    words
      .replace(/[^\p{L}\p{N}._-]+/gu, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 100) || 'test'
  );
}

function block(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return `${title}: (nothing)`;
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n');
}
