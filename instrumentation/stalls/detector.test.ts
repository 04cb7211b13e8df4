import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { applyFaults, type FaultDeclaration } from '../faults';
import { InProcessHost } from '../../emulator/host';
import { type InterruptKind } from '../../emulator/host/interrupts';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { type Origin, traceOf } from '../trace';
import { type StallNotice, detectStalls } from '.';

const MS = 1e6;
const COMMAND = { offset: 0x04, interruptDisable: 1 << 10, memoryAndBusMaster: 6 };
const IRQ_ENABLE = 0x104;
const IRQ_STATUS = 0x100;
const IRQ_TRIGGER = 0x108;
const USER = 1 << 4;
const H2C = 0x1000;
const STATUS = H2C + 0x04;
const DOORBELL = H2C + 0x14;
const CODE: Origin = { kind: 'place', place: 1, pid: 71, process: 'driver', address: '0x1' };

function setUp(...faults: FaultDeclaration[]) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const trace = traceOf(card);
  applyFaults(card, faults);
  const host = new InProcessHost(card);
  const notices: StallNotice[] = [];
  const whenSuspected: (() => void)[] = [];
  const detector = detectStalls(trace, {
    clock,
    onSuspicion: () => whenSuspected.forEach((listener) => listener()),
    onNotice: (notice) => notices.push(notice),
  });
  const bar = host.bar(0);
  /** Reads a register again and again, ten milliseconds apart. */
  const poll = (offset: number, times: number, code?: Origin): void => {
    for (let i = 0; i < times; i++) {
      bar.read32(offset);
      if (code) trace.addOrigin(code);
      clock.advance(10 * MS);
    }
  };
  const use = (kind: InterruptKind, vectors: number): void => {
    host.useInterrupts(kind, vectors);
    bar.write32(IRQ_ENABLE, 0x1f);
  };
  return { bar, card, clock, host, notices, poll, trace, use, detector, whenSuspected };
}
type Bench = ReturnType<typeof setUp>;

const RUN_STOP = registerMap({ CONTROL: { offset: 0, access: 'rw', fields: { RUN: [0] } } });

/** A ring with `count` descriptors that each send 64 bytes, and by default ask for an interrupt. */
function prepareTransfer({ bar, clock, host }: Bench, count = 4, control = 0b11): void {
  const ring = host.memory.allocate(32 * 16, 64);
  const data = host.memory.allocate(64);
  const view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset);
  for (let i = 0; i < count; i++) {
    view.setUint32(32 * i + 4, 64, true);
    view.setBigUint64(32 * i + 8, BigInt(data.iova), true);
    view.setUint32(32 * i, control, true);
  }
  bar.write64(H2C + 0x08, BigInt(ring.iova));
  bar.write32(H2C + 0x10, 16);
  bar.write32(H2C, 1);
  clock.runDue();
}

describe('a driver that polls without progress', () => {
  it('is reported once, with the register, its value, the number of reads and since when', () => {
    const { clock, notices, poll } = setUp();
    clock.advance(5 * MS);
    poll(STATUS, 400);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatchObject({ kind: 'polling', register: 'H2C[0].STATUS' });
    expect(notices[0]!.text).toMatch(
      /^the driver polls H2C\[0\]\.STATUS: 1\d\d reads in 1\.3 s, since 5000\.000 us, always 0x00000000\. Nothing is scheduled in the card: it will not change by itself\./,
    );
  });

  it('is reported with the fields of the register, and the states of the card', () => {
    const bench = setUp();
    const { bar, card, notices, poll } = bench;
    prepareTransfer(bench, 0);
    bar.write32(DOORBELL, 1); // the card does not own the descriptor: it halts
    card.inspection.clock.after(0, () => {});
    poll(STATUS, 200);
    expect(notices).toHaveLength(1);
    expect(notices[0]!.text).toContain('always 0x00000106 (HALTED=1, ERROR=1, ERROR_CODE=NOT_OWNED)');
    expect(notices[0]!.text).toContain('H2C0 halted: NOT_OWNED');
  });

  it('is reported with the code that last polled, which may be named when it is suspected', () => {
    const { notices, poll, whenSuspected } = setUp();
    const code = { ...CODE, name: '' };
    whenSuspected.push(() => (code.name = 'driver.c:5 wait'));
    poll(STATUS, 200, code);
    expect(notices.map(({ text }) => text)).toEqual([
      expect.stringContaining(', since 0.000 us, last by driver.c:5 wait (driver, process 71), always 0x00000000.'),
    ]);
  });

  it('is reported again when it stalls again', () => {
    const { bar, notices, poll } = setUp();
    poll(STATUS, 200);
    bar.read32(IRQ_STATUS);
    poll(STATUS, 200);
    expect(notices.map(({ register }) => register)).toEqual(['H2C[0].STATUS', 'H2C[0].STATUS']);
  });

  it('is kept in the trace, with the meaning of all ones', () => {
    const { host, poll, trace } = setUp();
    host.command(0);
    poll(STATUS, 200);
    expect(trace.notices).toHaveLength(1);
    expect(trace.notices[0]!.text).toContain('always 0xffffffff');
    expect(trace.notices[0]!.text).toContain('which is what a read returns when no device answers');
  });

  it('has ten times the limit while the card has something scheduled, which is reported', () => {
    const { card, notices, poll } = setUp();
    card.inspection.clock.after(60_000 * MS, () => {});
    poll(STATUS, 900);
    expect(notices).toEqual([]);
    poll(STATUS, 200);
    expect(notices).toHaveLength(1);
    expect(notices[0]!.text).toContain('The card has a task scheduled.');
  });

  it('is not reported when it waits for a short time, or when the register changes', () => {
    const { bar, clock, notices, poll } = setUp();
    poll(STATUS, 90);
    bar.write32(0x0c, 1);
    for (let i = 0; i < 500; i++) {
      bar.read32(0x28); // UPTIME_NS
      clock.advance(10 * MS);
    }
    expect(notices).toEqual([]);
  });

  it('is not reported when it reads a register now and then', () => {
    const { bar, clock, notices } = setUp();
    for (let i = 0; i < 500; i++) {
      bar.read32(STATUS);
      clock.advance(3000 * MS);
    }
    expect(notices).toEqual([]);
  });

  it("is not reported when it is the guest's kernel, which polls configuration space", () => {
    const { clock, host, notices, poll } = setUp();
    for (let i = 0; i < 500; i++) {
      host.config.read32(COMMAND.offset);
      clock.advance(10 * MS);
    }
    expect(notices).toEqual([]);
    poll(STATUS, 200);
    expect(notices.map(({ register }) => register)).toEqual(['H2C[0].STATUS']);
  });

  it('is not reported when it reads often within a short time', () => {
    const { bar, clock, notices } = setUp();
    for (let i = 0; i < 100_000; i++) bar.read32(STATUS);
    clock.advance(5000 * MS);
    expect(notices).toEqual([]);
  });
});

describe('a driver that waits for an interrupt', () => {
  it('that is masked is reported, with the vector and the last access', () => {
    const { bar, clock, notices, use, host } = setUp();
    use('msix', 8);
    host.bar(4).write32(4 * 16 + 12, 1); // vector 4 is masked
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(10_000 * MS);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatchObject({
      kind: 'interrupt-cannot-come',
      register: 'IRQ_TRIGGER',
      interrupt: { index: 2, vector: 4 },
    });
    expect(notices[0]!.text).toMatch(
      /^the driver may be waiting for an interrupt that cannot come: MSI-X vector 4 was raised at 0\.000 us and is held back: it is masked\. It has done nothing for 1\.\d s, its last access: write IRQ_TRIGGER 0x00000010 \(USER=1\) at 0\.000 us\./,
    );
  });

  it('is reported with the code of the last access, which may be named when it is suspected', () => {
    const { bar, clock, notices, trace, use, whenSuspected } = setUp();
    use('msix', 4);
    bar.write32(IRQ_TRIGGER, USER);
    const code = { ...CODE, name: '' };
    whenSuspected.push(() => (code.name = 'driver.c:5 trigger'));
    trace.addOrigin(code);
    clock.advance(3000 * MS);
    expect(notices.map(({ text }) => text)).toEqual([
      expect.stringContaining(
        'its last access: write IRQ_TRIGGER 0x00000010 (USER=1) at 0.000 us by driver.c:5 trigger (driver, process 71).',
      ),
    ]);
  });

  it('on a vector without an eventfd is reported', () => {
    const { bar, clock, host, notices, use } = setUp();
    use('msix', 4);
    host.bar(4).write32(4 * 16 + 12, 0); // not masked, either
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(3000 * MS);
    expect(notices.map(({ text }) => text)).toEqual([expect.stringContaining('MSI-X vector 4 was raised')]);
    expect(notices[0]!.text).toContain('never set it up');
  });

  it('of a card without Bus Master Enable is reported', () => {
    const { bar, clock, host, notices, use } = setUp();
    use('msix', 8);
    host.command(0x2);
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(3000 * MS);
    expect(notices[0]!.text).toContain('is held back: Bus Master Enable is 0');
  });

  it('that it has not enabled again after the last one is reported', () => {
    const { bar, clock, host, notices, use } = setUp();
    use('intx', 1);
    bar.write32(IRQ_TRIGGER, USER);
    host.command(COMMAND.memoryAndBusMaster | COMMAND.interruptDisable);
    bar.write32(IRQ_STATUS, USER);
    host.interrupts.unmaskIntx();
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(3000 * MS);
    expect(notices.map(({ interrupt }) => interrupt)).toEqual([{ index: 0, vector: 0 }]);
    expect(notices[0]!.text).toContain('INTx was raised at 0.000 us and is held back: Interrupt Disable is set');
  });

  it('that was dropped is reported, with the fault', () => {
    const { bar, clock, notices, use } = setUp({ fault: 'interrupt-dropped', name: 'a message is lost' });
    use('msix', 8);
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(3000 * MS);
    expect(notices[0]!.text).toContain(
      "MSI-X vector 4 was raised at 0.000 us and was dropped by the fault 'a message is lost'",
    );
  });

  it('that is only late is not reported', () => {
    const { bar, clock, notices, use } = setUp({ fault: 'interrupt-delayed', delayNs: 8000 * MS });
    use('msix', 8);
    bar.write32(IRQ_TRIGGER, USER);
    clock.advance(20_000 * MS);
    expect(notices).toEqual([]);
  });

  it('that is raised and held back long after it went to sleep is reported then', () => {
    const { bar, card, clock, notices, use } = setUp();
    use('msix', 4);
    bar.write32(IRQ_STATUS, 0);
    card.inspection.clock.after(60_000 * MS, () => card.inspection.interrupts.signal(4));
    clock.advance(60_500 * MS);
    expect(notices).toEqual([]);
    clock.advance(3000 * MS);
    expect(notices).toHaveLength(1);
  });

  it('after a doorbell without effect is reported, when each one before had started work', () => {
    const bench = setUp();
    const { bar, clock, notices, use } = bench;
    use('msix', 8);
    prepareTransfer(bench);
    bar.write32(DOORBELL, 1);
    clock.advance(5 * MS);
    bar.write32(H2C, 0); // RUN
    clock.runDue();
    bar.write32(DOORBELL, 2);
    clock.advance(5000 * MS);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatchObject({ register: 'H2C[0].DOORBELL' });
    expect(notices[0]!.text).toContain(
      'the write of 0x00000002 (PRODUCER=2) to H2C[0].DOORBELL at 5000.000 us had no effect, unlike each one before',
    );
    expect(notices[0]!.text).toContain('Nothing is scheduled in the card');
  });

  it('after a write that a fault has dropped is reported', () => {
    const { bar, clock, notices, use } = setUp({ fault: 'write-lost', register: 'H2C[*].DOORBELL' });
    use('msix', 8);
    bar.write32(DOORBELL, 1);
    clock.advance(5000 * MS);
    expect(notices.map(({ text }) => text)).toEqual([
      expect.stringContaining(
        "the write of 0x00000001 (PRODUCER=1) to H2C[0].DOORBELL at 0.000 us had no effect: the fault 'write-lost' has fired on it.",
      ),
    ]);
  });

  it('for work that is done is reported when the card has raised none', () => {
    const bench = setUp();
    const { bar, clock, host, notices } = bench;
    host.useInterrupts('msix', 8); // and IRQ_ENABLE is forgotten
    prepareTransfer(bench);
    bar.write32(DOORBELL, 1);
    clock.advance(5000 * MS);
    expect(notices).toHaveLength(1);
    expect(notices[0]!.text).toContain(
      'has started work that is done, and the card has not raised any vector of MSI-X',
    );
    expect(notices[0]!.text).toContain('H2C0 idle');
  });
});

describe('no notice is given of a driver', () => {
  /** Nothing happens for a long time. */
  const expectSilence = ({ clock, notices }: Bench): void => {
    clock.advance(100_000 * MS);
    expect(notices.map(({ text }) => text)).toEqual([]);
  };

  it('that is bound, and has no work', () => {
    const bench = setUp();
    bench.host.useInterrupts('intx');
    bench.bar.read32(0);
    expectSilence(bench);
  });

  it('whose interrupts are set up, and that has no work yet', () => {
    const bench = setUp();
    bench.use('msix', 8);
    prepareTransfer(bench);
    expectSilence(bench);
  });

  it('that has received every interrupt, and acknowledged it', () => {
    const bench = setUp();
    const { bar, clock, use } = bench;
    use('msix', 8);
    prepareTransfer(bench);
    for (let producer = 1; producer <= 4; producer++) {
      bar.write32(DOORBELL, producer);
      clock.advance(MS);
      bar.write32(IRQ_STATUS, 1);
      clock.advance(MS);
    }
    expectSilence(bench);
  });

  it('that polls memory, and has never set up an interrupt', () => {
    const bench = setUp();
    const { bar, host } = bench;
    host.command(COMMAND.memoryAndBusMaster | COMMAND.interruptDisable);
    bar.write32(IRQ_ENABLE, 0x1f);
    prepareTransfer(bench);
    bar.write32(DOORBELL, 1);
    expectSilence(bench);
  });

  it('that rings again without a new descriptor', () => {
    const bench = setUp();
    const { bar, clock, use } = bench;
    use('msix', 8);
    prepareTransfer(bench);
    bar.write32(DOORBELL, 1);
    clock.advance(5 * MS);
    bar.write32(DOORBELL, 1);
    expectSilence(bench);
  });

  it('that polls memory, and requests no interrupt of descriptors whose interrupt it has set up', () => {
    const bench = setUp();
    const { bar, host } = bench;
    host.useInterrupts('msix', 8);
    prepareTransfer(bench, 1, 0b01);
    bar.write32(DOORBELL, 1);
    expectSilence(bench);
  });

  /** A run bit as most engines have it: 1 starts, 0 stops. What is done is written to memory, which the driver polls. */
  class RunStopCard extends PciCard {
    readonly registers = this.registerBar(0, RUN_STOP);

    constructor({ isDeclared, ...environment }: CardEnvironment & { isDeclared: boolean }) {
      super({ vendorId: 0x1234, deviceId: 0x479a, classCode: 0x12_00_00, msix: { bar: 2, vectors: 1 } }, environment);
      if (isDeclared) this.dmaChannel('DMA', { doorbells: ['CONTROL.RUN'] });
      this.registers.onWrite('CONTROL', ({ value, previous }) => {
        if (value & ~previous & 1) this.clock.after(1000, () => void this.dma.write32(0x10_0000, 1));
      });
    }
  }

  describe.each([false, true])('with a run bit that is a doorbell, declared: %s', (isDeclared) => {
    it.each([
      ['stops the engine when it has polled the end', [1, 0]],
      ['stops and starts it several times', [1, 0, 1, 0, 1, 0]],
      ['starts it, and goes away', [1]],
      ['starts it while it runs', [1, 1]],
    ])('and %s', (_what, values) => {
      const clock = new ManualClock();
      const card = new RunStopCard({ clock, isDeclared });
      const notices: string[] = [];
      using _watch = detectStalls(traceOf(card), { clock, onNotice: ({ text }) => notices.push(text) });
      const host = new InProcessHost(card);
      host.useInterrupts('msix', 1);
      for (const value of values) {
        host.registers(0, RUN_STOP).write('CONTROL', value);
        clock.advance(10_000);
      }
      for (let i = 0; i < 30; i++) clock.advance(100 * MS);
      expect(notices).toEqual([]);
    });
  });

  /** A UIO driver has received one interrupt, and not the one after it. */
  const withPendingInterrupt = () => {
    const bench = setUp();
    const { bar, host, use } = bench;
    use('intx', 1);
    bar.write32(IRQ_TRIGGER, USER);
    host.command(COMMAND.memoryAndBusMaster | COMMAND.interruptDisable);
    bar.write32(IRQ_STATUS, USER);
    host.interrupts.unmaskIntx();
    bar.write32(IRQ_TRIGGER, USER);
    return bench;
  };

  it('that has closed its device with a pending interrupt: by UIO, which reads the command register', () => {
    const bench = withPendingInterrupt();
    const { host } = bench;
    host.config.read16(COMMAND.offset);
    expectSilence(bench);
  });

  it('that has closed its device with a pending interrupt: by UIO, which clears Bus Master Enable', () => {
    const bench = withPendingInterrupt();
    const { host } = bench;
    host.command(2 | COMMAND.interruptDisable);
    expectSilence(bench);
  });

  it('that has closed its device: by VFIO, which resets it', () => {
    const bench = setUp();
    const { bar, host, use } = bench;
    use('msix', 4);
    bar.write32(IRQ_TRIGGER, USER);
    host.reset('flr');
    expectSilence(bench);
  });

  it('after the detector was disposed of', () => {
    const bench = setUp();
    bench.detector[Symbol.dispose]();
    bench.poll(STATUS, 400);
    expectSilence(bench);
    expect(bench.clock.nextDueNs).toBeUndefined();
  });
});

it('has no timer while nothing happens', () => {
  const { bar, clock } = setUp();
  bar.read32(STATUS);
  clock.advance(5000 * MS);
  expect(clock.nextDueNs).toBeUndefined();
  bar.read32(STATUS);
  expect(clock.nextDueNs).toBeDefined();
});
