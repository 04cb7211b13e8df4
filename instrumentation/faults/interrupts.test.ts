import { describe, expect, it } from 'vitest';
import { IRQ_SOURCES } from '../../emulator/cards/reference';
import { faultyReference } from '../../test/support/faulty-reference';

const { H2C0, USER } = IRQ_SOURCES;

describe('interrupt-dropped', () => {
  it('drops the selected message of the selected vector', () => {
    using rig = faultyReference([{ fault: 'interrupt-dropped', vector: USER, occurrence: 2 }]);
    rig.useInterrupts();
    for (const source of [USER, H2C0, USER, H2C0, USER]) rig.trigger(source);
    expect([rig.host.interrupts.count(USER), rig.host.interrupts.count(H2C0)]).toEqual([2, 2]);
    expect(rig.fired).toEqual([1]);
    expect(rig.lines().filter((line) => line.includes('fault'))).toEqual([
      expect.stringContaining(`fault interrupt-dropped MSI-X vector ${USER} is dropped`),
    ]);
  });

  it('keeps the INTx line deasserted until the card asserts it again', () => {
    using rig = faultyReference([{ fault: 'interrupt-dropped' }]);
    rig.useInterrupts('intx');
    rig.trigger(USER);
    rig.trigger(H2C0); // for the card, the line is asserted already
    expect(rig.host.interrupts.count()).toBe(0);
    rig.registers.write('IRQ_STATUS', 0x1f);
    rig.trigger(USER);
    expect(rig.host.interrupts.count()).toBe(1);
  });
});

/** Faults are on the way of a message: the state of the function that sends it is as without them. */
describe('the state of the function', () => {
  const INTERRUPT_STATUS = 1 << 3;

  it.each([
    { faults: [], arrived: 1 },
    { faults: [{ fault: 'interrupt-dropped' }], arrived: 0 },
    { faults: [{ fault: 'interrupt-delayed', delayNs: 500 }], arrived: 0 },
  ] as const)(
    'with $faults, Interrupt Status follows the interrupt inside the function (PCI 6.2.3)',
    ({ faults, arrived }) => {
      using rig = faultyReference(faults);
      rig.useInterrupts('intx');
      const status = () => rig.host.config.read16(0x06) & INTERRUPT_STATUS;
      rig.trigger(USER);
      expect([rig.host.interrupts.count(), status()]).toEqual([arrived, INTERRUPT_STATUS]);
      rig.registers.write('IRQ_STATUS', 0x1f);
      expect(status()).toBe(0);
    },
  );

  it('a spurious INTx is one of the function: Interrupt Status is 1 as long as it lasts (PCI 6.2.3)', () => {
    using rig = faultyReference([{ fault: 'interrupt-spurious', atNs: 1000, forNs: 500 }]);
    rig.useInterrupts('intx');
    const status = () => rig.host.config.read16(0x06) & INTERRUPT_STATUS;
    rig.clock.advance(1000);
    expect([rig.host.interrupts.count(), status()]).toEqual([1, INTERRUPT_STATUS]);
    rig.clock.advance(500);
    expect(status()).toBe(0);
  });

  it.each([
    { fault: 'interrupt-dropped', arrived: 0 },
    { fault: 'interrupt-delayed', delayNs: 500, arrived: 0 },
    { fault: 'interrupt-duplicated', arrived: 1 },
  ] as const)(
    'with $fault, a masked vector has its pending bit set; the fault takes the message that is sent (PCI 6.8.2.9)',
    (given) => {
      const { arrived, ...fault } = given;
      using rig = faultyReference([fault]);
      rig.useInterrupts();
      const table = rig.host.bar(4);
      const pba = 0x1000;
      table.write32(16 * USER + 12, 1);
      rig.trigger(USER);
      expect([table.read32(pba), rig.fired]).toEqual([1 << USER, [0]]);
      table.write32(16 * USER + 12, 0);
      expect([table.read32(pba), rig.fired, rig.host.interrupts.count(USER)]).toEqual([0, [1], arrived]);
    },
  );
});

describe('interrupt-delayed', () => {
  it('lets later messages overtake the delayed one', () => {
    using rig = faultyReference([{ fault: 'interrupt-delayed', delayNs: 500 }]);
    rig.useInterrupts();
    const order: number[] = [];
    rig.host.interrupts.onInterrupt = (vector) => order.push(vector);
    rig.trigger(USER);
    rig.trigger(H2C0);
    rig.clock.advance(499);
    expect(order).toEqual([H2C0]);
    rig.clock.advance(1);
    expect(order).toEqual([H2C0, USER]);
  });

  it('of INTx asserts the line late, and not at all when its cause has gone', () => {
    using rig = faultyReference([{ fault: 'interrupt-delayed', delayNs: 500, occurrence: 'all' }]);
    rig.useInterrupts('intx');
    rig.trigger(USER);
    rig.clock.advance(500);
    expect(rig.host.interrupts.count()).toBe(1);
    rig.registers.write('IRQ_STATUS', 0x1f);
    rig.host.interrupts.unmaskIntx();
    rig.trigger(USER);
    rig.registers.write('IRQ_STATUS', 0x1f);
    rig.clock.advance(500);
    expect(rig.host.interrupts.count()).toBe(1);
    expect(rig.fired).toEqual([2]);
  });

  it('is discarded by a reset', () => {
    using rig = faultyReference([{ fault: 'interrupt-delayed', delayNs: 500 }]);
    rig.useInterrupts();
    rig.trigger(USER);
    rig.host.reset();
    rig.host.useInterrupts('msix', 8);
    rig.clock.advance(1000);
    expect(rig.host.interrupts.count(USER)).toBe(0);
  });
});

describe('interrupt-duplicated', () => {
  it('sends a message so many times, a gap apart', () => {
    using rig = faultyReference([{ fault: 'interrupt-duplicated', times: 3, gapNs: 100 }]);
    rig.useInterrupts();
    rig.trigger(USER);
    expect(rig.host.interrupts.count(USER)).toBe(1);
    rig.clock.advance(100);
    expect(rig.host.interrupts.count(USER)).toBe(2);
    rig.clock.advance(10_000);
    expect(rig.host.interrupts.count(USER)).toBe(3);
  });

  it('keeps the INTx line asserted when its cause has gone: it interrupts again', () => {
    using rig = faultyReference([{ fault: 'interrupt-duplicated', gapNs: 100 }]);
    rig.useInterrupts('intx');
    rig.trigger(USER);
    rig.registers.write('IRQ_STATUS', 0x1f);
    rig.host.interrupts.unmaskIntx();
    expect(rig.host.interrupts.count()).toBe(2);
    rig.clock.advance(100);
    rig.host.interrupts.unmaskIntx();
    expect(rig.host.interrupts.count()).toBe(2);
    expect(rig.registers.read('IRQ_STATUS')).toBe(0);
  });
});

describe('interrupt-spurious', () => {
  it('comes at a device time, without a change in the card', () => {
    using rig = faultyReference([{ fault: 'interrupt-spurious', atNs: 1000, vector: USER }]);
    rig.useInterrupts();
    rig.clock.advance(999);
    expect(rig.host.interrupts.count(USER)).toBe(0);
    rig.clock.advance(1);
    expect(rig.host.interrupts.count(USER)).toBe(1);
    expect(rig.registers.read('IRQ_STATUS')).toBe(0);
    expect(rig.registers.read('IRQ_COUNT')).toBe(0);
  });

  it('comes at an access of the driver, as an INTx line that is asserted for a while', () => {
    using rig = faultyReference([{ fault: 'interrupt-spurious', on: 'write', register: 'SCRATCH' }]);
    rig.useInterrupts('intx');
    rig.registers.write('SCRATCH', 1);
    rig.clock.runDue();
    expect(rig.host.interrupts.count()).toBe(1);
    rig.clock.advance(100_000);
    rig.host.interrupts.unmaskIntx();
    expect(rig.host.interrupts.count()).toBe(1);
  });

  it('does not come when the card has been closed', () => {
    const rig = faultyReference([{ fault: 'interrupt-spurious', atNs: 1000 }]);
    rig.useInterrupts();
    rig.card.close();
    rig.clock.advance(2000);
    expect(rig.fired).toEqual([0]);
  });
});

describe('interrupt-before-write-back', () => {
  const job = { lengthBytes: 16, interrupt: true };

  it('lets the interrupt overtake the descriptor and the write-back', () => {
    using rig = faultyReference([{ fault: 'interrupt-before-write-back', delayNs: 700 }]);
    rig.useInterrupts();
    const h2c = rig.channel('H2C');
    const seen: number[][] = [];
    const look = () => [h2c.ring32(0, 0) & 1, h2c.ring32(0, 0x1c), h2c.writeback.view.getUint32(0, true)];
    rig.host.interrupts.onInterrupt = () => seen.push(look());
    h2c.submit({ hostAddress: rig.host.memory.iova, ...job });
    rig.clock.runDue();
    expect(seen).toEqual([[1, 0, 0]]); // owned by the card, no status, consumer index 0
    rig.clock.advance(699);
    expect(look()).toEqual([1, 0, 0]);
    rig.clock.advance(1);
    expect(look()).toEqual([0, 1, 1]);
    expect(rig.fired).toEqual([1]);
  });

  it('counts only interrupts that follow completions, and leaves alone those that are not selected', () => {
    using rig = faultyReference([{ fault: 'interrupt-before-write-back', occurrence: 2 }]);
    rig.useInterrupts();
    const h2c = rig.channel('H2C');
    const consumers: number[] = [];
    rig.host.interrupts.onInterrupt = () => consumers.push(h2c.writeback.view.getUint32(0, true));
    rig.trigger(USER);
    for (let round = 0; round < 3; round++) {
      h2c.submit({ hostAddress: rig.host.memory.iova, ...job });
      rig.clock.advance(2_000_000);
    }
    expect(consumers).toEqual([0, 1, 1, 3]);
    expect(rig.fired).toEqual([1]);
  });

  it('releases writes that no interrupt follows after a while', () => {
    using rig = faultyReference([{ fault: 'interrupt-before-write-back' }]);
    rig.useInterrupts();
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 16 });
    rig.clock.advance(1_000_000);
    expect(h2c.writeback.view.getUint32(0, true)).toBe(1);
    expect(rig.fired).toEqual([0]);
  });

  it('keeps later writes behind one that is held', () => {
    using rig = faultyReference([{ fault: 'interrupt-before-write-back', delayNs: 700 }]);
    rig.useInterrupts();
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, ...job });
    rig.clock.advance(100);
    h2c.submit({ hostAddress: rig.host.memory.iova, ...job });
    rig.clock.advance(100);
    expect(h2c.writeback.view.getUint32(0, true)).toBe(0);
    rig.clock.advance(500);
    expect(h2c.writeback.view.getUint32(0, true)).toBe(2);
  });
});
