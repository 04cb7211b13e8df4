import { describe, expect, it } from 'vitest';
import { registerBlock, registerMap } from '../registers';
import { CardDefinitionError, type DmaChannelDeclaration, PciCard } from '.';

const CHANNEL = registerBlock({
  CONTROL: { offset: 0, access: 'rw', fields: { RUN: [0], MODE: [5, 4] } },
  TAIL: { offset: 8, width: 64, access: 'rw' },
});
const ENGINE = registerMap({ CH: { offset: 0, stride: 0x10, count: 2, registers: CHANNEL } });
const USER = registerMap({ CONTROL: { offset: 0, access: 'rw' }, SCRATCH: { offset: 4, access: 'rw' } });
const DESCRIPTOR = registerBlock({
  CONTROL: { offset: 0, access: 'rw', fields: { IRQ: [1] } },
  ADDRESS: { offset: 8, width: 64, access: 'rw' },
});

class Card extends PciCard {
  constructor(...channels: DmaChannelDeclaration[]) {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x120000 });
    this.registerBar(0, USER);
    this.registerBar(1, ENGINE);
    this.registerBar(2, USER);
    channels.forEach((channel, number) => this.dmaChannel(`CH${number}`, channel));
  }
}

const doorbells = (...declared: NonNullable<DmaChannelDeclaration['doorbells']>) =>
  new Card({ doorbells: declared }).inspection.channels()[0]!.doorbells;

describe('the DMA channels of a card', () => {
  it('have their doorbells looked up in the register maps of all BARs', () => {
    const place = { region: 1, offset: 0x10, width: 32 };
    expect(doorbells('CH[1].CONTROL.RUN', { register: 'CH[1].TAIL', rings: 'changed' }, 'BAR2:CONTROL')).toEqual([
      { path: 'CH[1].CONTROL.RUN', ...place, msb: 0, lsb: 0, rings: 1 },
      { path: 'CH[1].TAIL', region: 1, offset: 0x18, width: 64, msb: 63, lsb: 0, rings: 'changed' },
      { path: 'CONTROL', region: 2, offset: 0, width: 32, msb: 31, lsb: 0, rings: 'written' },
    ]);
  });

  it('may have several doorbells by one name', () => {
    expect(doorbells('CH[*].CONTROL.RUN').map(({ path, offset }) => [path, offset])).toEqual([
      ['CH[0].CONTROL.RUN', 0],
      ['CH[1].CONTROL.RUN', 0x10],
    ]);
  });

  it('have their layouts described, each as long as it says', () => {
    const [channel] = new Card({
      layouts: { descriptor: { fields: DESCRIPTOR, strideBytes: 64, requestsInterrupt: 'CONTROL.IRQ' } },
    }).inspection.channels();
    expect(channel!.layouts).toMatchObject([{ role: 'descriptor', strideBytes: 64, requestsInterrupt: 'CONTROL.IRQ' }]);
    expect(channel!.layouts[0]!.words.map(({ name, offset }) => [name, offset])).toEqual([
      ['CONTROL', 0],
      ['ADDRESS', 8],
    ]);
  });

  it.each([
    [
      'CH[0].TIAL',
      "DMA channel 'CH0', doorbell: the card has no register or field 'CH[0].TIAL'; the nearest are CH[0].TAIL, CH[1].TAIL",
    ],
    ['BAR0:CH[0].TAIL', "has no register or field 'BAR0:CH[0].TAIL'"],
    ['CONTROL', "the doorbell 'CONTROL' may be BAR0:CONTROL or BAR2:CONTROL: name the one that is meant"],
  ])('whose doorbell is %s are refused when the layout is read', (register, message) => {
    const card = new Card({ doorbells: [register] });
    expect(() => card.layout).toThrow(CardDefinitionError);
    expect(() => card.layout).toThrow(message);
  });

  it('are refused when a name comes twice, or a layout cannot be', () => {
    class Twice extends Card {
      readonly again = this.dmaChannel('CH0');
    }
    expect(() => new Twice({})).toThrow("DMA channel 'CH0' is declared twice");
    const layout = (descriptor: object) => () =>
      new Card({ layouts: { descriptor: { fields: DESCRIPTOR, ...descriptor } } }).layout;
    expect(layout({ strideBytes: 8 })).toThrow(
      'strideBytes of the layout of its descriptor is 8, and one takes 16 bytes',
    );
    expect(layout({ requestsInterrupt: 'CONTROL.INT' })).toThrow(
      "no field 'CONTROL.INT' in the layout of its descriptor",
    );
  });
});
