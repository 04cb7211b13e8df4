import { mkdtempSync, rmSync, truncateSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { type RecorderOptions, readTrace, TraceRecorder, traceOf } from '../trace';
import { SlotLink } from '../faults';
import { replay, ReplayError, type ReplayOptions } from '.';

const ADDER = registerMap(
  {
    CONTROL: { offset: 0x00, access: 'rw', fields: { GO: [0] } },
    STATUS: { offset: 0x04, access: 'ro', fields: { BUSY: [0], RESULT: { bits: [15, 8], values: { EVEN: 2 } } } },
    FROM: { offset: 0x08, access: 'rw' },
    TO: { offset: 0x0c, access: 'rw' },
  },
  { sizeBytes: 4096 },
);

/** Adds up bytes of host memory, and can be made wrongly. */
class AdderCard extends PciCard {
  readonly registers = this.registerBar(0, ADDER);
  static wrong = '';

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00, msix: { bar: 2, vectors: 2 } }, environment);
    this.registers.onWrite('CONTROL', () => {
      this.registers.set('STATUS.BUSY', 1);
      if (AdderCard.wrong === 'unscheduled') return;
      this.clock.after(AdderCard.wrong === 'late' ? 5000 : 1000, () => this.#add());
    });
  }

  #add(): void {
    const { wrong } = AdderCard;
    const bytes = new Uint8Array(4);
    const from = this.registers.get('FROM') + (wrong === 'address' ? 4 : 0);
    void this.dmaAs({ channel: 'ADD', role: 'data' }).read(from, bytes);
    let sum = bytes.reduce((total, byte) => total + byte, 0);
    if (wrong === 'random') sum += 1 + Math.floor(Math.random() * 10);
    if (wrong === 'sum') sum++;
    if (wrong === 'throws') throw new Error('the adder is broken');
    if (wrong === 'order') this.interrupts.signal(0);
    void this.dmaAs({ channel: 'ADD', role: 'write-back' }).write(this.registers.get('TO'), Uint8Array.of(sum));
    this.registers.set('STATUS.BUSY', wrong === 'register' ? 1 : 0);
    this.registers.set('STATUS.RESULT', sum % 2 === 0 ? 2 : 1);
    if (wrong !== 'order' && wrong !== 'interrupt') this.interrupts.signal(0);
    if (wrong === 'twice') this.interrupts.signal(0);
  }
}

let folder: string;
let path: string;
beforeEach(() => {
  AdderCard.wrong = '';
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-replay-'));
  path = join(folder, 'run.trace');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What a driver does that has four bytes added up, twice. */
function drive(card: PciCard, clock: ManualClock): void {
  const host = new InProcessHost(card);
  host.useInterrupts('msix', 2);
  const buffer = host.memory.allocate(64);
  buffer.bytes.set([1, 2, 3, 4]);
  const registers = host.registers(0, ADDER);
  registers.write('FROM', buffer.iova);
  registers.write('TO', buffer.iova + 32);
  for (let run = 0; run < 2; run++) {
    registers.write('CONTROL', 1);
    registers.read('STATUS');
    clock.advance(1000);
    registers.read('STATUS');
    buffer.bytes[0]!++;
  }
}

function record(options: RecorderOptions & { cards?: number; make?: typeof AdderCard } = {}): string {
  const { cards = 1, make = AdderCard } = options;
  const recorder = new TraceRecorder(path, options);
  for (let count = 0; count < cards; count++) {
    const clock = new ManualClock();
    const card = new make({ clock });
    traceOf(card).record(recorder, { name: count === 0 ? 'adder' : `adder-${count + 1}` });
    drive(card, clock);
    card.close();
  }
  recorder.close();
  return path;
}

const again = (options?: ReplayOptions, make: typeof AdderCard = AdderCard) =>
  replay(path, (environment) => new make(environment), options);

/** The divergence in the report, without what was before it. */
async function divergenceOf(wrong: string): Promise<string[]> {
  record();
  AdderCard.wrong = wrong;
  const { report } = await again();
  const lines = report.split('\n');
  return lines.slice(lines.findIndex((line) => line.startsWith('  ') && !line.startsWith('   ')));
}

describe('a replay', () => {
  it('finds no divergence in a card that is as it was', async () => {
    record();
    const result = await again();
    expect(result.report).toBe(`adder does what the trace says: ${result.total} events`);
    expect(result).toMatchObject({ divergence: undefined, deviceNs: 2000, notes: [] });
    expect(result.events).toHaveLength(result.total);
    expect(() => result.check()).not.toThrow();
  });

  it.each([
    [
      'a register that reads otherwise, by its fields',
      'register',
      [
        '  - trace: 1.000 us  read STATUS 0x00000200 (RESULT=EVEN)',
        '  + card:  1.000 us  read STATUS 0x00000201 (BUSY=1, RESULT=EVEN)',
        '    STATUS.BUSY: 0 in the trace, 1 now',
      ],
    ],
    [
      'other data',
      'sum',
      [
        '  - trace: 1.000 us  DMA writes 1 byte at 0x100020 (ADD, write-back): 0a',
        '  + card:  1.000 us  DMA writes 1 byte at 0x100020 (ADD, write-back): 0b',
        '    1 of 1 bytes differ, the first at +0x0: 0a, 0b',
        '    while it reacted to: 1.000 us  scheduled work',
      ],
    ],
    [
      'another address of DMA',
      'address',
      [
        '  - trace: 1.000 us  DMA reads 4 bytes at 0x100000 (ADD, data): 01 02 03 04',
        '  + card:  1.000 us  DMA reads 4 bytes at 0x100004 (ADD, data)',
        '    while it reacted to: 1.000 us  scheduled work',
      ],
    ],
    [
      'an interrupt that is missing',
      'interrupt',
      [
        '  - trace: 1.000 us  interrupt raised MSI-X vector 0',
        '  + card:  nothing',
        '    while it reacted to: 1.000 us  scheduled work',
      ],
    ],
    [
      'an interrupt too many',
      'twice',
      [
        '  - trace: 1.000 us  read STATUS 0x00000200 (RESULT=EVEN)',
        '  + card:  1.000 us  interrupt raised MSI-X vector 0',
        '    while it reacted to: 1.000 us  scheduled work',
      ],
    ],
    [
      'another order',
      'order',
      [
        '  - trace: 1.000 us  DMA writes 1 byte at 0x100020 (ADD, write-back): 0a',
        '  + card:  1.000 us  interrupt raised MSI-X vector 0',
        '    while it reacted to: 1.000 us  scheduled work',
      ],
    ],
    [
      'work that is not scheduled',
      'unscheduled',
      [
        '  - trace: 1.000 us  scheduled work',
        '  + card:  nothing',
        '    the card has no work that is due now: it has scheduled none',
      ],
    ],
    [
      'work that is scheduled for later',
      'late',
      [
        '  - trace: 1.000 us  scheduled work',
        '  + card:  nothing',
        '    the card has no work that is due now: the next is due at 5.000 us',
      ],
    ],
  ])('says of %s where it is', async (_, wrong, lines) => {
    expect(await divergenceOf(wrong)).toEqual(lines);
  });

  it('shows the events before, and throws the report when it is to be checked', async () => {
    record();
    AdderCard.wrong = 'register';
    const result = await again();
    const lines = result.report.split('\n');
    expect(lines[0]).toMatch(/^adder diverges from the trace at event \d+ of \d+:$/);
    expect(lines.filter((line) => line.includes('DMA reads 4 bytes'))).toHaveLength(1);
    expect(() => result.check()).toThrow(result.report);
  });

  it('says what the card has thrown', async () => {
    record();
    AdderCard.wrong = 'throws';
    const result = await again();
    expect(result.divergence?.thrown).toEqual(new Error('the adder is broken'));
    expect(result.report).toContain('  the card has thrown: Error: the adder is broken');
    expect(result.report).toContain('replay.test.ts');
  });

  it('goes on over reads that differ, and lists them all, when it is asked to', async () => {
    record();
    AdderCard.wrong = 'register';
    const { divergences, events, total } = await again({ allReads: true });
    expect(divergences.map(({ expected }) => expected?.timeNs)).toEqual([1000, 2000]);
    expect(events).toHaveLength(total);
  });

  it('hints at what a model asks of the world outside', async () => {
    const lines = await divergenceOf('random');
    expect(lines.at(-1)).toBe(
      "note: the card's model calls Math.random(), whose answers no trace holds; use this.clock instead",
    );
  });

  it('says which registers are others', async () => {
    class OtherCard extends AdderCard {
      readonly more = this.registerBar(4, registerMap({ EXTRA: { offset: 0, access: 'rw' } }, { sizeBytes: 4096 }));
    }
    record();
    const { notes } = await again({}, OtherCard);
    expect(notes).toEqual(["the card's registers are not those of the trace: EXTRA is new"]);
  });

  it('goes as far as a trace goes that was cut off, and says so', async () => {
    record();
    truncateSync(path, statSync(path).size - 1);
    const whole = readTrace(path);
    expect(whole.isEnded).toBe(false);
    const { events } = readTrace(record());
    const result = await replay({ ...whole, events: events.slice(0, -3) }, (environment) => new AdderCard(environment));
    expect(result.divergence).toBeUndefined();
    expect(result.notes).toEqual(['the trace was cut off; it was replayed as far as it goes, to 2.000 us']);
  });

  it('of one card among several must be given which', async () => {
    record({ cards: 2 });
    await expect(again()).rejects.toThrow(
      new ReplayError('the trace has 2 cards: say which by its number; there are 1 (adder), 2 (adder-2)'),
    );
    await expect(again({ card: 'subtracter' })).rejects.toThrow("the trace has no card 'subtracter'; it has 1 (adder)");
    expect((await again({ card: 'adder-2' })).divergence).toBeUndefined();
    expect((await again({ card: 1 })).card.name).toBe('adder');
  });

  it('cannot do without the contents of host memory', async () => {
    record({ payloads: 'hash' });
    await expect(again()).rejects.toThrow("recorded with DMA payloads 'hash'");
    record({ ringBytes: 4 });
    await expect(again()).rejects.toThrow('recorded in ring mode, with DMA payloads of more than 1 bytes as hashes');
  });

  it('cannot begin in the middle', async () => {
    const trace = readTrace(record());
    const ring = { ...trace, header: { ...trace.header, lostEvents: 7 } };
    await expect(replay(ring, (environment) => new AdderCard(environment))).rejects.toThrow('lost its first 7 events');
  });

  it('takes up what a model does in continuations of its own', async () => {
    class AsyncCard extends AdderCard {
      constructor(environment: CardEnvironment = {}) {
        super(environment);
        this.registers.onWrite('TO', () => void this.#later());
      }

      async #later(): Promise<void> {
        await Promise.resolve();
        this.interrupts.signal(1);
      }
    }
    const clock = new ManualClock();
    const card = new AsyncCard({ clock });
    const recorder = new TraceRecorder(path);
    traceOf(card).record(recorder, { name: 'adder' });
    drive(card, clock);
    await Promise.resolve();
    recorder.close();
    card.close();
    const { report, divergence } = await again({}, AsyncCard);
    expect(report).toContain('does what the trace says');
    expect(divergence).toBeUndefined();
  });

  it('severs the link when the trace does', async () => {
    const clock = new ManualClock();
    const card = new AdderCard({ clock });
    const recorder = new TraceRecorder(path);
    const trace = traceOf(card);
    trace.record(recorder, { name: 'adder' });
    const link = new SlotLink(card);
    const { device } = trace;
    card.inspection.device.insert(() => link);
    device.readRegion(7, 0, new Uint8Array(4));
    trace.linkDown(() => link.goDown());
    device.readRegion(7, 0, new Uint8Array(4));
    recorder.close();
    card.close();
    const result = await again();
    result.check();
    const kinds = readTrace(path).events.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind !== 'state')).toEqual(['card', 'read', 'link-down', 'reset', 'read', 'end']);
  });
});
