/** For tests of `ghostcard trace`: a recording, and what the command prints. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command } from 'commander';
import { afterEach, beforeEach, vi } from 'vitest';
import { REFERENCE_REGISTERS, ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type RecorderOptions, TraceRecorder, traceOf } from '../../instrumentation/trace';
import { ChannelDriver } from './reference-driver';
import { traceCommand } from '../../cli/commands/trace';

/** A folder for each test, removed after it. */
export function useFolder(): { readonly path: string } {
  const folder = { path: '' };
  beforeEach(() => void (folder.path = mkdtempSync(join(tmpdir(), 'ghostcard-trace-command-'))));
  afterEach(() => rmSync(folder.path, { recursive: true }));
  return folder;
}

/** A driver that moves 64 bytes to the card, is interrupted, and polls; the recording is still open. */
export function record(path: string, options: RecorderOptions & { transfers?: number } = {}) {
  const { transfers = 1, ...recorderOptions } = options;
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const recorder = new TraceRecorder(path, recorderOptions);
  traceOf(card).record(recorder, { name: 'reference' });
  const host = new InProcessHost(card);
  host.useInterrupts('msix', 8);
  host.registers(0, REFERENCE_REGISTERS).write('IRQ_ENABLE', 1);
  clock.advance(1000);
  const driver = new ChannelDriver(host, 'H2C');
  const hostAddress = host.memory.allocate(64).iova;
  for (let i = 0; i < transfers; i++) {
    driver.submit({ hostAddress, lengthBytes: 64, interrupt: true });
    clock.advance(1000);
    for (let poll = 0; poll < 3; poll++) driver.registers.read('H2C[0].STATUS');
  }
  recorder.mark('done');
  return { clock, card, host, driver, recorder, [Symbol.dispose]: () => (recorder.close(), card.close()) };
}

/** What `ghostcard trace` with these arguments prints on standard output. */
export async function printed(...args: string[]): Promise<string> {
  const chunks: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk, ...rest: unknown[]) => {
    chunks.push(String(chunk));
    const done = rest.at(-1);
    if (typeof done === 'function') done();
    return true;
  });
  try {
    await strict(traceCommand()).parseAsync(args, { from: 'user' });
    return chunks.join('');
  } finally {
    write.mockRestore();
  }
}

/** Errors are thrown and not printed. */
function strict(command: Command): Command {
  command.commands.forEach(strict);
  return command.exitOverride().configureOutput({ writeErr: () => {} });
}
