import { describe, expect, it } from 'vitest';
import { InProcessHost } from '../../emulator/host';
import { PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { applyFaults, type FaultDeclaration } from '../../instrumentation/faults';
import { RegisterNames } from '../../instrumentation/trace';
import { expect as expectCard } from '.';

const FIRST = registerMap({
  STATUS: { offset: 0, access: 'rw', fields: { BUSY: [0] } },
  ID: { offset: 4, access: 'ro' },
});
const SECOND = registerMap({
  STATUS: { offset: 0, access: 'rw', fields: { BUSY: [0] } },
  DOORBELL: { offset: 8, access: 'wo' },
});

class TwoBars extends PciCard {
  readonly first = this.registerBar(0, FIRST);
  readonly second = this.registerBar(2, SECOND);
  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x12_00_00 });
  }
}

const lost = (register: string): FaultDeclaration => ({ fault: 'write-lost', register });
const ofAuthor = (card: PciCard) => RegisterNames.of(card).all.filter(({ region }) => region < 6);

describe('names of registers in two BARs', () => {
  it('have the BAR only where both have a register of that name', () => {
    const names = ofAuthor(new TwoBars()).map(({ name }) => name);
    expect(names).toEqual(['BAR0:STATUS', 'ID', 'BAR2:STATUS', 'DOORBELL']);
  });

  it('are the same for matchers and for faults, and may always have the BAR', () => {
    const card = new TwoBars();
    applyFaults(card, [lost('BAR2:DOORBELL'), lost('id')]);
    new InProcessHost(card).bar(2).write32(0, 1);
    expectCard(card).toHaveRegister('BAR2:STATUS.BUSY', 1);
    expectCard(card).toHaveRegister('BAR0:ID', 0);
    expect(() => applyFaults(new TwoBars(), [lost('STATUS')])).toThrow(
      "'STATUS' is in several BARs of the card: write BAR0:STATUS or BAR2:STATUS",
    );
    expect(() => applyFaults(new TwoBars(), [lost('DORBELL')])).toThrow(
      /the card has no register 'DORBELL'; the nearest are DOORBELL, /,
    );
    expect(() => expectCard(card).toHaveRegister('BAR2:DORBELL' as 'BAR2:DOORBELL', 1)).toThrow(
      /the card has no register or field 'BAR2:DORBELL'; the nearest are DOORBELL, /,
    );
  });
});
