import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference/index.ts';
import { ManualClock } from '../../emulator/clock/index.ts';
import { InProcessHost } from '../../emulator/host/index.ts';
import { PciCard } from '../../emulator/pci/index.ts';
import { registerMap } from '../../emulator/registers/index.ts';
import { applyFaults, type FaultDeclaration } from '../../instrumentation/faults/index.ts';
import { RegisterNames } from '../../instrumentation/trace/index.ts';
import { ChannelDriver } from '../../test/support/reference-driver.ts';
import { expect as expectCard } from './index.ts';

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

describe('names of DMA channels', () => {
  it('are the same for matchers and for faults, with * and in any case, and refused when there is no such channel', async () => {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock });
    const host = new InProcessHost(card);
    const { iova } = host.memory.allocate(256);
    new ChannelDriver(host, 'H2C', 1).submit({ hostAddress: iova, lengthBytes: 256 });
    clock.advance(1_000_000);
    expectCard(card).toHaveReadHost({ channel: 'H2C1', iova, sizeBytes: 256 });
    expectCard(card).toHaveReadHost({ channel: 'h2c*', atLeastBytes: 256 + 32 });
    expectCard(card).toHaveWrittenHost({ channel: 'H2C1' });
    expectCard(card).not.toHaveReadHost({ channel: 'H2C0', iova, sizeBytes: 256 });
    expect(() => expectCard(card).toHaveReadHost({ channel: 'C2H*' })).toThrow(
      'expected the card to have read host memory by C2H*; C2H0, C2H1 have read nothing',
    );
    const unknown = "the card has no DMA channel 'H2C7'; the nearest are H2C0, H2C1, C2H0";
    expect(() => expectCard(card).toHaveReadHost({ channel: 'H2C7' })).toThrow(unknown);
    await expect(expectCard(card).toReadHost({ channel: 'H2C7' })).rejects.toThrow(unknown);
    const poisoned = (channel: string) => [{ fault: 'dma-failed', reason: 'poisoned', channel }] as const;
    expect(() => applyFaults(new ReferenceCard({ clock }), poisoned('H2C7'))).toThrow(unknown);
    applyFaults(new ReferenceCard({ clock }), poisoned('c2h*'));
  });
});
