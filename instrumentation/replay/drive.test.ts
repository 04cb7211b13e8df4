import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../test/support/reference-driver';
import { PROCESSING } from '../../emulator/cards/reference/registers';
import { REFERENCE_REGISTERS, ReferenceCard, type ReferenceCardOptions } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { readTrace, type TraceEvent, TraceRecorder, traceOf, writeTrace } from '../trace';
import { drive, replay } from '.';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-drive-'));
  path = join(folder, 'run.trace');
});
afterEach(() => rmSync(folder, { recursive: true }));

const ROUNDS = 3;
const BYTES = 256;

/** A driver that sends data through the card and back, round by round, in the same buffers and descriptors. */
function record(): void {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const recorder = new TraceRecorder(path);
  traceOf(card).record(recorder, { name: 'reference' });
  const host = new InProcessHost(card);
  host.useInterrupts('msix', 8);
  const registers = host.registers(0, REFERENCE_REGISTERS);
  registers.write('IRQ_ENABLE', 0xf);
  registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
  const [h2c, c2h] = [new ChannelDriver(host, 'H2C', 0, 2), new ChannelDriver(host, 'C2H', 0, 2)];
  const [from, to] = [host.memory.allocate(BYTES), host.memory.allocate(BYTES)];
  for (let round = 0; round < ROUNDS; round++) {
    from.bytes.fill(round + 1);
    c2h.submit({ hostAddress: to.iova, lengthBytes: BYTES, interrupt: true });
    h2c.submit({ hostAddress: from.iova, lengthBytes: BYTES, interrupt: true, endOfPacket: true });
    clock.advance(10);
    expect(to.bytes).toEqual(from.bytes);
    expect(c2h.state).toMatchObject({ completed: round + 1, errorCode: 0 });
  }
  recorder.close();
  card.close();
}

/** What arrived in host memory, transfer by transfer. */
const arrived = (events: readonly TraceEvent[]): number[][] =>
  events.flatMap((event) => (event.kind === 'dma-write' && event.role === 'data' ? [[...event.data!]] : []));

const driven = (options: ReferenceCardOptions = {}) =>
  drive(path, (environment) => new ReferenceCard({ ...options, ...environment }));

describe('a trace in place of the driver', () => {
  it('does to a card that is as it was what was done to it', () => {
    record();
    const result = driven();
    expect(result).toMatchObject({ missing: [], thrown: [], unknownBytes: 0 });
    expect(arrived(result.events)).toEqual(arrived(readTrace(path).events));
  });

  it('waits for a card that has become slower, and fills host memory as the driver did', () => {
    record();
    const result = driven({ link: { completionLatencyNs: 50_000, bytesPerSecond: 1e8 } });
    expect(result).toMatchObject({ missing: [], thrown: [], unknownBytes: 0 });
    expect(arrived(result.events)).toEqual([1, 2, 3].map((value) => Array<number>(BYTES).fill(value)));
    expect(result.events.at(-1)!.hostNs).toBeGreaterThan(ROUNDS * 50_000);
  });

  it('makes a trace of what the changed card did, which is a recording like any other', async () => {
    record();
    const slow = { link: { completionLatencyNs: 50_000 } };
    const { trace } = driven(slow);
    const changed = join(folder, 'changed.trace');
    writeTrace(changed, trace);
    expect((await replay(changed, (environment) => new ReferenceCard(environment))).divergence).toBeDefined();
    (await replay(changed, (environment) => new ReferenceCard({ ...slow, ...environment }))).check();
  });

  it('says what the driver had waited for, and the card does not do any more', () => {
    class SilentCard extends ReferenceCard {
      constructor(options: ReferenceCardOptions) {
        super(options);
        this.interrupts.signal = () => {};
      }
    }
    record();
    const { missing } = drive(path, (environment) => new SilentCard(environment));
    expect(missing.map(({ what }) => what)).toContain('interrupt 2.0: 0 of 1');
  });

  it('says first that the card is another model, also when it cannot have the faults of the trace', async () => {
    class OtherCard extends PciCard {
      constructor(environment: CardEnvironment) {
        super({ vendorId: 0x1234, deviceId: 0x4742, classCode: 0xff_00_00 }, environment);
      }
    }
    const other = 'the trace is of ReferenceCard 1234:4743, this is OtherCard 1234:4742';
    const make = (environment: CardEnvironment) => new OtherCard(environment);
    record();
    expect(driven().notes).toEqual([]);
    expect(drive(path, make).notes).toEqual([other]);
    expect((await replay(path, make)).report.split('\n')[0]).toBe(`note: ${other}`);
    const { header, events } = readTrace(path);
    const faults = [{ fault: 'interrupt-dropped', vector: 0 }];
    const faulty = events.map((event) =>
      event.kind === 'card' ? { ...event, description: { ...event.description, faults } } : event,
    );
    const trace = { header, events: faulty, isEnded: true };
    expect(() => drive(trace, make)).toThrow(`${other}, and the faults of the trace cannot be injected into it: `);
    await expect(replay(trace, make)).rejects.toThrow(
      `${other}, and the faults of the trace cannot be injected into it: `,
    );
  });

  it('says what the card has thrown, and goes on', () => {
    class BrokenCard extends ReferenceCard {
      constructor(options: ReferenceCardOptions) {
        super(options);
        this.registers.onWrite('IRQ_ENABLE', () => {
          throw new Error('the interrupt block is broken');
        });
      }
    }
    record();
    const { thrown, events } = drive(path, (environment) => new BrokenCard(environment));
    expect(thrown).toEqual([new Error('the interrupt block is broken')]);
    expect(arrived(events)).toHaveLength(ROUNDS);
  });
});
