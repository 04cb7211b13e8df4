/** Waveform viewers read what `trace export` writes: GTKWave's own converter reads it, and prints what it has read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { REFERENCE_REGISTERS, ReferenceCard } from '../../emulator/cards/reference';
import { exportVcd } from '../../instrumentation/analysis';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { readTrace, TraceRecorder, traceOf } from '../../instrumentation/trace';
import { terminalProgress } from '../../qemu/provision';
import { provisionGtkwave } from '../support/packages/gtkwave';
import { ChannelDriver } from '../support/reference-driver';

let folder: string;
/** `time value` of each signal, by its path, as GTKWave has read it. */
let signals: Map<string, string[]>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-gtkwave-'));
  record(join(folder, 'run.trace'));
  writeFileSync(join(folder, 'run.vcd'), exportVcd(readTrace(join(folder, 'run.trace'))));
  const gtkwave = await provisionGtkwave({ onProgress: terminalProgress() });
  signals = parse(readFileSync(await gtkwave.reread(join(folder, 'run.vcd'), folder), 'utf8'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A transfer by INTx at 1 us, another by MSI-X at 2 us. */
function record(path: string): void {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const recorder = new TraceRecorder(path);
  traceOf(card).record(recorder, { name: 'reference' });
  const host = new InProcessHost(card);
  host.useInterrupts('intx');
  const registers = host.registers(0, REFERENCE_REGISTERS);
  registers.write('IRQ_ENABLE', 1);
  const driver = new ChannelDriver(host, 'H2C');
  const hostAddress = host.memory.allocate(64).iova;
  const transfer = (): void => {
    clock.advance(1000);
    driver.submit({ hostAddress, lengthBytes: 64, interrupt: true });
    clock.runDue();
    registers.read('H2C[0].STATUS');
    registers.write('IRQ_STATUS', 1);
  };
  transfer();
  host.useInterrupts('msix', 8);
  transfer();
  recorder.mark('all is done');
  recorder.close();
  card.close();
}

/** What fst2vcd writes, by its simple rules: one declaration or one change a line. */
function parse(vcd: string): Map<string, string[]> {
  const scopes: string[] = [];
  const paths = new Map<string, string>();
  const found = new Map<string, string[]>();
  let time = '0';
  for (const line of vcd.split('\n')) {
    const words = line.trim().split(' ');
    if (words[0] === '$scope') scopes.push(words[2]!);
    else if (words[0] === '$upscope') scopes.pop();
    else if (words[0] === '$var') paths.set(words[3]!, [...scopes, words[4]].join('.'));
    else if (line.startsWith('#')) time = line.slice(1);
    else if (paths.size > 0 && /^[01xbs]/.test(line)) {
      const [value, code] = words.length === 2 ? [words[0]!.slice(1), words[1]!] : [line[0]!, line.slice(1)];
      const path = paths.get(code)!;
      found.set(path, [...(found.get(path) ?? []), `${time} ${value}`]);
    }
  }
  return found;
}

/** Its values one after the other, numbers from their bits. */
const valuesOf = (path: string, base?: 2): (string | number)[] =>
  (signals.get(`reference.${path}`) ?? [])
    .map((change) => change.split(' ')[1]!)
    .filter((value) => !/^x+$/.test(value))
    .map((value) => (base === undefined ? value : Number.parseInt(value, base)));

it('registers and fields have the values of the accesses', () => {
  expect(valuesOf('registers.H2C_0.DOORBELL.PRODUCER', 2)).toEqual([1, 2]);
  expect(valuesOf('registers.H2C_0.CONTROL.RUN', 2)).toEqual([1]);
  expect(valuesOf('config.COMMAND.BUS_MASTER', 2)).toContain(1);
});

it('DMA is exported by channel, with addresses, sizes and roles', () => {
  expect(new Set(valuesOf('dma.H2C0.role'))).toEqual(new Set(['descriptor', 'data', 'write-back']));
  expect(new Set(valuesOf('dma.H2C0.bytes', 2))).toEqual(new Set([32, 64, 4]));
  expect(valuesOf('dma.H2C0.busy')).toEqual(['0', '1', '0', '1', '0']);
});

it('interrupts are exported: the level of the line, and messages as events', () => {
  expect(valuesOf('interrupts.INTx.level')).toEqual(['0', '1', '0']);
  expect(signals.get('reference.interrupts.MSIX_0.sent')).toHaveLength(1);
});

it('states and marks are exported as text', () => {
  expect(valuesOf('state.H2C0')).toEqual(['running', 'idle', 'running', 'idle']);
  expect(signals.get('run.mark_text')?.at(-1)).toMatch(/ all_is_done$/);
});

it('time is in picoseconds of the device', () => {
  const [first] = signals.get('reference.registers.H2C_0.DOORBELL.write')!;
  expect(Math.floor(Number(first!.split(' ')[0]) / 1e6)).toBe(1);
});
