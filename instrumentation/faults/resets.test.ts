import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { faultyReference } from '../../test/support/faulty-reference';
import { applyFaults } from '.';

const ALL_ONES = 0xffff_ffff;

describe('a fault that a reset triggers', () => {
  it('removes the card at the second function-level reset', () => {
    using rig = faultyReference([{ fault: 'surprise-removal', on: 'reset', reset: 'flr', occurrence: 2 }]);
    rig.host.reset('device');
    rig.host.reset('flr');
    rig.clock.runDue();
    expect(rig.registers.read('ID')).not.toBe(ALL_ONES);
    rig.host.reset('flr');
    rig.clock.runDue();
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
    expect(rig.fired).toEqual([1]);
  });

  it('without a kind takes any reset', () => {
    using rig = faultyReference([{ fault: 'surprise-removal', on: 'reset' }]);
    rig.host.reset('device');
    rig.clock.runDue();
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
  });
});

describe('a fault with afterReset', () => {
  it('does not count events before that reset of that kind', () => {
    using rig = faultyReference([{ fault: 'write-lost', register: 'SCRATCH', afterReset: { kind: 'flr', count: 2 } }]);
    const afterWrite = (value: number) => {
      rig.registers.write('SCRATCH', value);
      return rig.registers.read('SCRATCH');
    };
    expect(afterWrite(1)).toBe(1);
    rig.host.reset('flr');
    rig.host.reset('device');
    expect(afterWrite(2)).toBe(2);
    rig.host.reset('flr');
    expect([afterWrite(3), afterWrite(4)]).toEqual([0, 4]);
    expect(rig.fired).toEqual([1]);
  });

  it('lets a link drop when the kernel polls configuration space after a function-level reset', () => {
    using rig = faultyReference([
      { fault: 'reads-all-ones', register: 'config:COMMAND', linkDown: true, forNs: 1000, afterReset: { kind: 'flr' } },
    ]);
    rig.host.reset('flr');
    expect(rig.host.config.read32(4)).toBe(ALL_ONES);
    rig.clock.advance(1000);
    expect(rig.host.config.read32(4)).not.toBe(ALL_ONES);
    expect(rig.card.inspection.resets('link-down')).toBe(1);
  });

  it('that never fires says which reset it waited for', () => {
    using rig = faultyReference([{ fault: 'write-lost', register: 'SCRATCH', afterReset: { kind: 'flr', count: 2 } }]);
    rig.host.reset('flr');
    rig.registers.write('SCRATCH', 1);
    expect(rig.faulty.counts[0]!.waitedFor).toMatch(
      /^occurrence 1 of writes to SCRATCH after reset 2 of the kind flr \(1 so far\); 0 of \d+ writes to the card/,
    );
  });

  it('is refused with a kind of reset that there is not', () => {
    expect(() => faultyReference([{ fault: 'write-lost', afterReset: { kind: 'hot' as 'flr' } }])).toThrow(
      'afterReset is {"kind":"hot"}; it must be { kind, count } with a kind of device, flr, d3hot, link-down, power',
    );
  });
});

describe('reset-slow', () => {
  it('makes a card that is in use unreachable for a time after its reset', () => {
    using rig = faultyReference([{ fault: 'reset-slow', reset: 'flr', forNs: 1000 }]);
    rig.host.reset('flr');
    expect(rig.registers.read('ID')).toBe(ALL_ONES);
    expect(rig.host.config.read32(0)).toBe(ALL_ONES);
    rig.host.config.write16(4, 6);
    rig.clock.advance(999);
    expect(rig.host.config.read32(0)).toBe(ALL_ONES);
    rig.clock.advance(1);
    expect(rig.host.config.read32(0)).not.toBe(ALL_ONES);
    expect(rig.host.config.read16(4)).toBe(0);
    expect(rig.fired).toEqual([1]);
  });

  it('does not count resets before the card is used, which QEMU makes, nor those of another kind', () => {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock });
    const faulty = applyFaults(card, [{ fault: 'reset-slow', forNs: 1000 }]);
    const { device } = card.inspection;
    device.reset();
    expect(faulty.unfired).toHaveLength(1);
    using rig = faultyReference([{ fault: 'reset-slow', reset: 'flr', forNs: 1000 }]);
    rig.host.reset('device');
    expect(rig.fired).toEqual([0]);
    card.close();
  });
});
