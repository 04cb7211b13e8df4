import { describe, expect, it } from 'vitest';
import { REFERENCE_REGISTERS } from '../../emulator/cards/reference';
import { type FaultDeclaration } from '.';
import { faultyReference } from '../../test/support/faulty-reference';

const ALL_ONES = 0xffff_ffff;

describe('reads-all-ones', () => {
  it('returns all ones for so many reads, beginning with the selected one', () => {
    using rig = faultyReference([{ fault: 'reads-all-ones', register: 'ID', occurrence: 2, reads: 2 }]);
    const reads = Array.from({ length: 5 }, () => rig.registers.read('ID'));
    const [id] = reads;
    expect(reads).toEqual([id, ALL_ONES, ALL_ONES, id, id]);
    expect(rig.registers.read('VERSION')).not.toBe(ALL_ONES);
    expect(rig.fired).toEqual([1]);
  });

  it('returns all ones for a time', () => {
    using rig = faultyReference([{ fault: 'reads-all-ones', forNs: 100 }]);
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
    rig.clock.advance(99);
    expect(rig.registers.read('VERSION')).toBe(ALL_ONES);
    rig.clock.advance(1);
    expect(rig.registers.read('VERSION')).not.toBe(ALL_ONES);
  });

  it('with the link down makes the whole card unreachable, which is reset when it comes back', () => {
    using rig = faultyReference([{ fault: 'reads-all-ones', register: 'ID', forNs: 100, linkDown: true }]);
    rig.registers.write('SCRATCH', 5);
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
    rig.registers.write('SCRATCH', 6);
    expect(rig.host.config.read32(0)).toBe(ALL_ONES);
    rig.clock.advance(100);
    expect(rig.host.config.read32(0)).not.toBe(ALL_ONES);
    expect(rig.registers.read('ID')).toBe(ALL_ONES); // a card after a reset does not decode memory
    rig.host.enumerate();
    expect(rig.registers.read('SCRATCH')).toBe(0);
  });
});

describe('write-lost', () => {
  it('loses a doorbell, of whichever channel', () => {
    using rig = faultyReference([{ fault: 'write-lost', register: 'H2C[*].DOORBELL', occurrence: 2 }]);
    const channels = [rig.channel('H2C', 0), rig.channel('H2C', 1)];
    for (const channel of channels) channel.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 4 });
    rig.clock.runDue();
    expect(channels.map(({ state }) => state.completed)).toEqual([1, 0]);
    channels[1]!.doorbell();
    rig.clock.runDue();
    expect(channels.map(({ state }) => state.completed)).toEqual([1, 1]);
  });

  it('applies to offsets in a BAR', () => {
    using rig = faultyReference([{ fault: 'write-lost', bar: 2, offset: { from: '0x100', to: '0x103' } }]);
    for (const at of [0x104, 0x100, 0x100]) rig.host.bar(2).write32(at, at);
    rig.host.bar(2).write32(0x100, 7);
    expect([rig.host.bar(2).read32(0x100), rig.host.bar(2).read32(0x104)]).toEqual([7, 0x104]);
  });

  it('applies to a register of the configuration space that is named', () => {
    using rig = faultyReference([{ fault: 'write-lost', register: 'config:COMMAND' }]);
    expect(rig.registers.read('ID')).toBe(ALL_ONES); // Memory Space Enable has been lost
    expect(rig.fired).toEqual([1]);
  });
});

describe('device-slow', () => {
  it('delays the answer: time has passed when it comes', () => {
    using rig = faultyReference([{ fault: 'device-slow', on: 'read', register: 'ID', delayNs: 1000 }]);
    rig.registers.write('SCRATCH', 1);
    rig.registers.read('ID');
    expect(rig.clock.now()).toBe(1000);
    rig.registers.read('ID');
    expect(rig.clock.now()).toBe(1000);
  });
});

describe('field-stuck', () => {
  it('shows the field wrong for so many reads, and leaves the card alone', () => {
    using rig = faultyReference([{ fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 1, reads: 2 }]);
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 4 });
    rig.clock.runDue();
    expect([h2c.state.busy, h2c.state.busy, h2c.state.busy]).toEqual([true, true, false]);
    expect(h2c.state.completed).toBe(1);
    expect(rig.fired).toEqual([1]);
  });

  it('without a limit shows it wrong for ever, and other fields as they are', () => {
    using rig = faultyReference([{ fault: 'field-stuck', field: 'C2H[*].STATUS.ERROR_CODE', value: 5 }]);
    rig.clock.advance(1e12);
    const status = REFERENCE_REGISTERS.registers.find(({ path }) => path === 'C2H[1].STATUS')!;
    expect(rig.registers.read('C2H[1].STATUS')).toBe(0x500);
    expect(rig.host.bar(0).read8(status.offset + 1)).toBe(5);
  });

  it('has not fired while the driver reads what is there', () => {
    using rig = faultyReference([{ fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 0 }]);
    expect(rig.channel('H2C').state.busy).toBe(false);
    expect(rig.fired).toEqual([0]);
  });
});

describe('writes-posted', () => {
  it('holds writes, in order, until the next read', () => {
    using rig = faultyReference([{ fault: 'writes-posted', register: 'SCRATCH', holdNs: 1000 }]);
    rig.registers.write('SCRATCH', 5);
    rig.registers.write('IRQ_ENABLE', 1); // after one that is held
    expect([rig.card.registers.get('SCRATCH'), rig.card.registers.get('IRQ_ENABLE')]).toEqual([0, 0]);
    expect(rig.registers.read('SCRATCH')).toBe(5);
    expect(rig.card.registers.get('IRQ_ENABLE')).toBe(1);
  });

  it('releases them when the time is over', () => {
    using rig = faultyReference([{ fault: 'writes-posted', register: 'H2C[0].DOORBELL', holdNs: 1000 }]);
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 4 });
    rig.clock.advance(999);
    expect(rig.card.registers.get('H2C[0].COMPLETED')).toBe(0);
    rig.clock.advance(1);
    expect(rig.card.registers.get('H2C[0].COMPLETED')).toBe(1);
  });

  it('releases them at a write to configuration space', () => {
    using rig = faultyReference([{ fault: 'writes-posted', occurrence: 'all' }]);
    rig.registers.write('SCRATCH', 5);
    rig.host.config.write16(0x3c, 0);
    expect(rig.card.registers.get('SCRATCH')).toBe(5);
  });
});

describe('surprise-removal', () => {
  it('at an access makes the driver read all ones from then on', () => {
    using rig = faultyReference([{ fault: 'surprise-removal', on: 'read', register: 'ID', occurrence: 2 }]);
    const [first, second, third] = Array.from({ length: 3 }, () => rig.registers.read('ID'));
    expect([first === ALL_ONES, second, third]).toEqual([false, ALL_ONES, ALL_ONES]);
    expect(rig.host.config.read32(0)).toBe(ALL_ONES);
  });

  it('at a DMA access never lets it complete', () => {
    using rig = faultyReference([{ fault: 'surprise-removal', on: 'dma', role: 'data' }]);
    const h2c = rig.channel('H2C');
    h2c.submit({ hostAddress: rig.host.memory.iova, lengthBytes: 4 });
    rig.clock.runDue();
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
    expect(h2c.ring32(0, 0) & 1).toBe(1);
  });

  it('happens at an interrupt, or at a device time', () => {
    using rig = faultyReference([{ fault: 'surprise-removal', on: 'interrupt', vector: 4 }]);
    rig.useInterrupts();
    rig.trigger(4);
    rig.clock.runDue();
    expect([rig.host.interrupts.count(4), rig.registers.read('ID')]).toEqual([1, ALL_ONES]);

    using timed = faultyReference([{ fault: 'surprise-removal', atNs: 500 }]);
    timed.clock.advance(499);
    expect(timed.registers.read('ID')).not.toBe(ALL_ONES);
    timed.clock.advance(1);
    expect(timed.registers.read('ID')).toBe(ALL_ONES);
  });
});

describe('BAR mappings', () => {
  it('are hidden by a fault at the accesses, and not by others', () => {
    const allocate = (sizeBytes: number) => ({ bytes: new Uint8Array(sizeBytes), fd: 42, close: () => {} });
    const mappings = (fault: FaultDeclaration) => {
      using rig = faultyReference([fault], { mapMemory: true, allocate });
      return rig.card.inspection.device.layout.regions.filter(({ mappable }) => mappable).length;
    };
    expect(mappings({ fault: 'write-lost', bar: 2 })).toBe(0);
    expect(mappings({ fault: 'interrupt-dropped' })).toBe(1);
    expect(mappings({ fault: 'interrupt-spurious', on: 'dma' })).toBe(1);
  });
});
