import { describe, expect, it } from 'vitest';
import { ERROR_CODES, PROCESSING } from '../../emulator/cards/reference';
import { traceOf } from '../trace';
import { faultyReference } from '../../test/support/faulty-reference';

const pattern = Uint8Array.from({ length: 64 }, (_, index) => index + 1);
type Rig = ReturnType<typeof faultyReference>;

/** 64 bytes of host memory into card memory. */
function bring({ host, channel }: Rig, h2c = channel('H2C')) {
  const source = host.memory.allocate(64);
  source.bytes.set(pattern);
  h2c.submit({ hostAddress: source.iova, lengthBytes: 64 });
  return h2c;
}

/** 64 bytes of card memory into host memory. */
function fetch({ card, host, channel }: Rig) {
  card.memory.set(pattern);
  const target = host.memory.allocate(64);
  const c2h = channel('C2H');
  c2h.submit({ hostAddress: target.iova, lengthBytes: 64 });
  return { c2h, target };
}

describe('dma-failed', () => {
  it.each(['unsupported-request', 'completer-abort', 'poisoned', 'completion-timeout'] as const)(
    'gives the engine %s in place of the bytes: it halts with the address, and goes on when that is cleared (PCIe 2.3.2, PCIe 2.7.2)',
    (reason) => {
      using rig = faultyReference([{ fault: 'dma-failed', role: 'data', reason }]);
      const h2c = bring(rig);
      rig.clock.runDue();
      expect(h2c.state).toMatchObject({ halted: true, errorCode: ERROR_CODES.BAD_HOST_ADDRESS, completed: 0 });
      expect(rig.card.memory[0]).toBe(0);
      expect(traceOf(rig.card).states.get('H2C0')).toBe(`halted: BAD_HOST_ADDRESS, ${reason}, descriptor 0`);
      h2c.clearError();
      rig.clock.runDue();
      expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
      expect(rig.card.memory.subarray(0, 64)).toEqual(pattern);
    },
  );

  it('of a completion time-out comes when that is over, and not after a reset', () => {
    using rig = faultyReference([
      { fault: 'dma-failed', role: 'descriptor', reason: 'completion-timeout', delayNs: 50_000, occurrence: 'all' },
    ]);
    const h2c = bring(rig);
    rig.clock.advance(49_999);
    expect(h2c.state).toMatchObject({ halted: false, busy: true });
    rig.clock.advance(1);
    expect(h2c.state).toMatchObject({ halted: true, errorAddress: BigInt(h2c.ring.iova) });
    h2c.clearError();
    rig.clock.runDue();
    rig.host.reset();
    rig.clock.advance(100_000);
    expect(h2c.state).toMatchObject({ halted: false, errorCode: 0 });
  });

  it('applies to each channel that a name with * stands for', () => {
    using rig = faultyReference([{ fault: 'dma-failed', reason: 'poisoned', channel: 'h2c*', occurrence: 'all' }]);
    const h2c = bring(rig);
    const { c2h } = fetch(rig);
    rig.clock.runDue();
    expect([h2c.state.halted, c2h.state.halted]).toEqual([true, false]);
  });

  it('does not count writes, which are posted', () => {
    using rig = faultyReference([
      { fault: 'dma-failed', reason: 'poisoned', channel: 'C2H0', role: 'data', mayNotFire: true },
    ]);
    const { c2h } = fetch(rig);
    rig.clock.runDue();
    expect(c2h.state).toMatchObject({ completed: 1 });
  });
});

describe('dma-delayed', () => {
  it('makes the engine wait, and reads memory as it is then', () => {
    using rig = faultyReference([{ fault: 'dma-delayed', role: 'data', delayNs: 500 }]);
    const h2c = bring(rig);
    rig.clock.advance(499);
    expect(h2c.state).toMatchObject({ busy: true, completed: 0 });
    rig.host.memory.bytes.fill(9, 0, 4096);
    h2c.registers.read('ID');
    rig.clock.advance(1);
    expect(h2c.state).toMatchObject({ busy: false, completed: 1 });
    expect(rig.lines().filter((line) => line.includes('DMA reads 64 bytes'))).toEqual([
      expect.stringContaining('0.500 us'),
    ]);
  });

  it('lets the other channel continue', () => {
    using rig = faultyReference([{ fault: 'dma-delayed', channel: 'H2C0', role: 'data', delayNs: 500 }]);
    const [slow, quick] = [rig.channel('H2C', 0), rig.channel('H2C', 1)];
    for (const channel of [slow, quick]) bring(rig, channel);
    rig.clock.runDue();
    expect([slow.state.completed, quick.state.completed]).toEqual([0, 1]);
  });

  it('is discarded by a reset: nothing is moved, and the engine starts again', () => {
    using rig = faultyReference([{ fault: 'dma-delayed', role: 'data', delayNs: 500 }]);
    const h2c = bring(rig);
    rig.clock.runDue();
    rig.host.reset();
    rig.clock.advance(1000);
    expect(rig.card.memory[0]).toBe(0);
    h2c.setUp();
    bring(rig, h2c);
    rig.clock.runDue();
    expect(h2c.state).toMatchObject({ completed: 1 });
  });
});

describe('dma-truncated', () => {
  it('moves only so many bytes, and the card counts all', () => {
    using rig = faultyReference([{ fault: 'dma-truncated', access: 'write', role: 'data', bytes: 16 }]);
    const { c2h, target } = fetch(rig);
    rig.clock.runDue();
    expect([...target.bytes]).toEqual([...pattern.subarray(0, 16), ...new Uint8Array(48)]);
    expect(c2h.state).toMatchObject({ completed: 1, bytes: 64n });
    expect(rig.lines().some((line) => line.includes('DMA writes 16 bytes'))).toBe(true);
  });

  it('does not count accesses that are no longer', () => {
    using rig = faultyReference([{ fault: 'dma-truncated', bytes: 64, mayNotFire: true }]);
    bring(rig);
    rig.clock.runDue();
    expect(rig.fired).toEqual([0]);
    expect(rig.faulty.unfired).toEqual([]);
  });
});

describe('dma-corrupted', () => {
  it('inverts bits of one byte on the way to memory', () => {
    using rig = faultyReference([{ fault: 'dma-corrupted', channel: 'C2H0', role: 'data', byte: 3, xor: 0x80 }]);
    const { target } = fetch(rig);
    rig.clock.runDue();
    expect([...target.bytes.subarray(0, 5)]).toEqual([1, 2, 3, 4 ^ 0x80, 5]);
    expect([...rig.card.memory.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
  });

  it('inverts bits of one byte on the way from memory, which is unchanged', () => {
    using rig = faultyReference([{ fault: 'dma-corrupted', channel: 'H2C0', role: 'data' }]);
    bring(rig);
    rig.clock.runDue();
    expect([...rig.card.memory.subarray(0, 3)]).toEqual([1 ^ 1, 2, 3]);
  });

  it('corrupts a write of one word', () => {
    using rig = faultyReference([{ fault: 'dma-corrupted', role: 'write-back', occurrence: 3, xor: 6 }]);
    const h2c = bring(rig);
    rig.clock.runDue();
    expect(h2c.writeback.view.getUint32(0, true)).toBe(1 ^ 6);
  });
});

describe('dma-duplicated', () => {
  it('writes again, later: over what is there by then', () => {
    using rig = faultyReference([{ fault: 'dma-duplicated', access: 'write', role: 'data', delayNs: 500 }]);
    const { target } = fetch(rig);
    rig.clock.runDue();
    expect([...target.bytes]).toEqual([...pattern]);
    target.bytes.fill(0);
    rig.card.memory.fill(7);
    rig.clock.advance(500);
    expect([...target.bytes]).toEqual([...pattern]);
  });

  it('reads twice at once, which a trace shows', () => {
    using rig = faultyReference([{ fault: 'dma-duplicated', access: 'read', role: 'data' }]);
    bring(rig);
    rig.clock.runDue();
    expect(
      rig
        .lines()
        .filter((line) => line.includes('DMA reads 64 bytes'))
        .join(),
    ).toContain('(2 times)');
    expect([...rig.card.memory.subarray(0, 64)]).toEqual([...pattern]);
  });
});

describe('write-back-before-data', () => {
  it('reports data to the driver that are not there yet', () => {
    using rig = faultyReference([{ fault: 'write-back-before-data', delayNs: 500 }]);
    const { c2h, target } = fetch(rig);
    rig.clock.runDue();
    expect(c2h.ring32(0, 0x1c)).toBe(1);
    expect([...target.bytes]).toEqual([...new Uint8Array(64)]);
    rig.clock.advance(500);
    expect([...target.bytes]).toEqual([...pattern]);
  });

  it('loses the data when the card is reset before they arrive', () => {
    using rig = faultyReference([{ fault: 'write-back-before-data', delayNs: 500 }]);
    const { target } = fetch(rig);
    rig.clock.runDue();
    rig.host.reset('flr');
    rig.clock.advance(1000);
    expect([...target.bytes]).toEqual([...new Uint8Array(64)]);
  });
});

describe('descriptor-stale', () => {
  it('returns what was there when the card last read it: zeros at first', () => {
    using rig = faultyReference([{ fault: 'descriptor-stale' }]);
    const h2c = bring(rig);
    rig.clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 1, errorIndex: 0 }); // not owned
    h2c.clearError();
    rig.clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
  });

  it('returns what the card itself wrote there', () => {
    using rig = faultyReference([{ fault: 'descriptor-stale', occurrence: 3 }]);
    const h2c = rig.channel('H2C');
    h2c.write('RING_SIZE', 2);
    const job = { hostAddress: rig.host.memory.iova, lengthBytes: 16 };
    for (let round = 0; round < 3; round++) {
      h2c.producer = round % 2;
      h2c.prepare(job);
      h2c.producer = (round + 1) % 2;
      h2c.doorbell();
      rig.clock.runDue();
    }
    // The third is entry 0 again: the card sees it as it handed it back, not as the driver has filled it again.
    expect(h2c.state).toMatchObject({ completed: 2, halted: true, errorCode: 1 });
    expect(rig.fired).toEqual([1]);
  });
});

describe('reset-in-transfer', () => {
  it('resets the card at the nth access to data, in a task of its own', () => {
    using rig = faultyReference([{ fault: 'reset-in-transfer', channel: 'H2C0', occurrence: 2 }]);
    rig.registers.write('SCRATCH', 5);
    const h2c = bring(rig);
    bring(rig, h2c);
    rig.clock.runDue();
    expect(rig.fired).toEqual([1]);
    expect(rig.registers.read('ID')).toBe(0xffff_ffff); // memory is not decoded any more
    rig.host.enumerate();
    expect(rig.registers.read('SCRATCH')).toBe(0);
    expect(h2c.state).toMatchObject({ busy: false, halted: false, completed: 0, consumer: 0 });
    expect([h2c.ring32(0, 0) & 1, h2c.ring32(1, 0) & 1]).toEqual([0, 1]);
    h2c.setUp();
    bring(rig, h2c);
    rig.clock.runDue();
    expect(h2c.state).toMatchObject({ completed: 1 });
  });
});

describe('a fault with addresses', () => {
  it('applies to accesses that touch them', () => {
    const iova = { from: '0x100000', to: '0x100fff' } as const;
    using rig = faultyReference([{ fault: 'dma-truncated', role: 'data', iova, bytes: 0, occurrence: 'all' }]);
    const h2c = rig.channel('H2C');
    rig.registers.write('PAIR[0].PROCESSING', PROCESSING.MEMORY);
    const beyond = rig.host.memory.allocate(64, 4096);
    rig.host.memory.bytes.fill(3);
    const entry = { lengthBytes: 64 };
    h2c.ring.bytes.fill(0);
    h2c.submit({ ...entry, hostAddress: beyond.iova - 64 }, { ...entry, hostAddress: beyond.iova, cardAddress: 64 });
    rig.clock.runDue();
    expect([rig.card.memory[0], rig.card.memory[64]]).toEqual([0, 3]);
  });
});
