import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultyReference } from '../../test/support/faulty-reference';
import { PORT, TwoPorts } from '../../test/support/two-ports';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { readTrace, traceOf, TraceRecorder, type TraceEvent } from '../trace';
import { applyFaults, type FaultDeclaration, faultsOf } from '.';

type WithoutHostTime<E> = E extends TraceEvent ? Omit<E, 'hostNs'> : never;

/** The events of a run of a driver that uses interrupts, with faults; without the host's times. */
function recorded(faults: readonly FaultDeclaration[]): WithoutHostTime<TraceEvent>[] {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-faults-'));
  try {
    using rig = faultyReference(faults);
    const recorder = new TraceRecorder(join(folder, 'run.trace'));
    traceOf(rig.card).record(recorder, { name: 'reference', faults });
    rig.useInterrupts();
    const [h2c, c2h] = [rig.channel('H2C'), rig.channel('C2H')];
    for (let round = 0; round < 4; round++) {
      for (const channel of [h2c, c2h]) {
        channel.submit({ hostAddress: rig.host.memory.iova + 4096 * round, lengthBytes: 256, interrupt: true });
        rig.clock.advance(300);
        void channel.state;
      }
    }
    rig.clock.advance(10_000_000);
    recorder.close();
    return readTrace(recorder.path).events.map(({ hostNs: _, ...event }) => event as WithoutHostTime<TraceEvent>);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('a thousand faults of a card', () => {
  it('all see each access, interrupt and DMA', () => {
    const all: FaultDeclaration[] = Array.from({ length: 250 }, () => [
      { fault: 'reads-all-ones', register: 'ID', occurrence: 1 } as const,
      { fault: 'interrupt-delayed', delayNs: 1 } as const,
      { fault: 'dma-corrupted', channel: 'H2C0', occurrence: 100_000 } as const,
      { fault: 'write-lost', register: 'SCRATCH', occurrence: 100_000 } as const,
    ]).flat();
    using rig = faultyReference(all);
    rig.useInterrupts();
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 256, interrupt: true });
    rig.clock.advance(10_000);
    for (let read = 1; read <= 300; read++) {
      expect(rig.registers.read('ID')).toBe(read <= 250 ? 0xffff_ffff : 0x4748_4331);
    }
    expect(h2c.state).toMatchObject({ completed: 1, error: false });
    expect(() => faultyReference([...all, all[0]!])).toThrow('faults: 1001 faults, and each is a stage');
  });
});

const EVERYTHING: readonly FaultDeclaration[] = [
  { fault: 'interrupt-delayed', delayNs: 500, occurrence: { every: 3 } },
  { fault: 'interrupt-duplicated', occurrence: 2, gapNs: 50 },
  { fault: 'interrupt-before-write-back', occurrence: 1, delayNs: 200 },
  { fault: 'write-back-before-data', occurrence: 2, delayNs: 100 },
  { fault: 'dma-delayed', role: 'data', access: 'read', delayNs: 250, occurrence: 2 },
  { fault: 'dma-corrupted', role: 'data', occurrence: { every: 2 } },
  { fault: 'reads-all-ones', register: 'H2C[0].COMPLETED', occurrence: 2 },
  { fault: 'writes-posted', register: 'H2C[0].DOORBELL', occurrence: 3 },
  { fault: 'field-stuck', field: 'C2H[0].STATUS.BUSY', value: 1, reads: 2 },
  { fault: 'interrupt-spurious', on: 'dma', role: 'write-back', occurrence: 5, vector: 4 },
  { fault: 'reset-in-transfer', channel: 'C2H0', occurrence: 4 },
];

describe('several faults', () => {
  it('act on the same event in the order in which they are declared', () => {
    using rig = faultyReference([
      { fault: 'interrupt-dropped', name: 'first', occurrence: 1 },
      { fault: 'interrupt-dropped', name: 'second', occurrence: 1 },
      { fault: 'interrupt-duplicated', name: 'third', occurrence: 1, gapNs: 10 },
    ]);
    rig.useInterrupts();
    const arrived: number[] = [];
    for (let round = 0; round < 3; round++) {
      rig.trigger(4);
      arrived.push(rig.host.interrupts.count(4));
    }
    // Each sees what those before it have let through: the first drops the first, the second the first that it sees.
    expect(arrived).toEqual([0, 0, 1]);
    rig.clock.advance(10);
    expect(rig.host.interrupts.count(4)).toBe(2);
    expect(rig.faulty.counts.map(({ name, times }) => [name, times])).toEqual([
      ['first', 1],
      ['second', 1],
      ['third', 1],
    ]);
  });

  it('of one kind have names of their own', () => {
    using rig = faultyReference([{ fault: 'write-lost' }, { fault: 'write-lost' }, { fault: 'write-lost', name: 'x' }]);
    expect(rig.faulty.counts.map(({ name }) => name)).toEqual(['write-lost', 'write-lost-2', 'x']);
  });

  it('at accesses, too: a write that is lost is not held', () => {
    using rig = faultyReference([
      { fault: 'write-lost', register: 'SCRATCH' },
      { fault: 'writes-posted', register: 'SCRATCH' },
    ]);
    rig.registers.write('SCRATCH', 1);
    rig.registers.write('SCRATCH', 2);
    expect(rig.card.registers.get('SCRATCH')).toBe(0);
    expect(rig.registers.read('SCRATCH')).toBe(2);
  });
});

describe('the trace', () => {
  it('is the same when the run is repeated', () => {
    const first = recorded(EVERYTHING);
    expect(first.filter(({ kind }) => kind === 'fault').length).toBeGreaterThan(9);
    expect(recorded(EVERYTHING)).toEqual(first);
  });

  it('contains the faults as they are declared', () => {
    const [card] = recorded(EVERYTHING);
    expect(card).toMatchObject({ kind: 'card', description: { faults: JSON.parse(JSON.stringify(EVERYTHING)) } });
  });

  it('shows what was on the bus: the interrupt, then the write-back that the card made before it', () => {
    const events = recorded([{ fault: 'interrupt-before-write-back', delayNs: 200 }]);
    const interesting = events.filter(
      (event) =>
        (event.kind === 'interrupt' && event.phase !== 'held') ||
        event.kind === 'fault' ||
        (event.kind === 'dma-write' && event.role === 'write-back'),
    );
    expect(
      interesting.slice(0, 6).map((event) => {
        const kind = event.kind === 'interrupt' ? event.phase : event.kind;
        return `${event.timeNs} ${kind}`;
      }),
    ).toEqual(['0 raised', '0 fault', '0 sent', ...Array<string>(3).fill('200 dma-write')]);
  });

  it('shows a dropped interrupt as raised and never sent, and a truncated DMA as it was', () => {
    const events = recorded([
      { fault: 'interrupt-dropped' },
      { fault: 'dma-truncated', channel: 'C2H0', role: 'data', bytes: 100 },
    ]);
    const phases = events.flatMap((event) => (event.kind === 'interrupt' ? event.phase : []));
    expect(phases.slice(0, 4)).toEqual(['raised', 'raised', 'sent', 'raised']);
    const writes = events.flatMap((event) =>
      event.kind === 'dma-write' && event.role === 'data' ? event.sizeBytes : [],
    );
    expect(writes).toEqual([100, 256, 256, 256]);
  });
});

it('faults of one function of a card leave its other functions alone', () => {
  const clock = new ManualClock();
  const functions = new TwoPorts().makeFunctions({ clock });
  applyFaults(functions[1]!, [{ fault: 'interrupt-dropped' }, { fault: 'reads-all-ones', register: 'SCRATCH' }]);
  const hosts = functions.map((card) => new InProcessHost(card));
  for (const host of hosts) host.useInterrupts('msi');
  const ports = hosts.map((host) => host.registers(0, PORT));
  for (const port of ports) port.write('RING', 1);
  clock.advance(1000);
  expect(hosts.map(({ interrupts }) => interrupts.count())).toEqual([1, 0]);
  expect(ports.map((port) => port.read('SCRATCH'))).toEqual([0, 0xffff_ffff]);
  ports[0]!.write('SEND', 7); // what the functions share is not on the way of either's messages
  expect(ports[1]!.read('RECEIVED')).toBe(7);
  expect(functions.map((card) => faultsOf(card)?.counts.map(({ times }) => times))).toEqual([undefined, [1, 1]]);
});
