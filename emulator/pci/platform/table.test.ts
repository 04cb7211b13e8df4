import { describe, expect, it } from 'vitest';
import { crc32 } from 'node:zlib';
import { registerMap } from '../../registers';
import { type CardEnvironment, PciCard } from '../card';
import { type CardIdentity } from '../identity';
import { MEMORY_SPACE, TestBus } from '../../../test/support/pci-bus';
import { platformDevice, type PlatformDevice } from './declaration';
import { alignmentOfMember, placedMembers } from './structs';
import { STRUCTS } from './layout';

const PAGE = 4096;
const REGISTERS = registerMap({ CONTROL: { offset: 0, access: 'rw' } }, { sizeBytes: 4 * PAGE });
const CAPABILITY = 0xc0;

class BlockCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  readonly memory = this.memoryBar(2, 1 << 20);

  constructor(platformDevices: readonly PlatformDevice[], identity: Partial<CardIdentity> = {}) {
    const environment: CardEnvironment = {};
    const whole = { vendorId: 0x1234, deviceId: 1, classCode: 0, intx: 'A', msix: { bar: 4, vectors: 8 } } as const;
    super({ ...whole, platformDevices, ...identity }, environment);
  }
}

const device = (change: Partial<PlatformDevice> = {}): PlatformDevice => ({
  name: 'block',
  compatible: 'example,block-1.0',
  windows: { registers: { bar: 0 } },
  ...change,
});

/** Reads BAR 4 and the capability as a driver does. */
function tableOf(card: PciCard): { bar: number; offset: number; sizeBytes: number; bytes: Buffer } {
  const bus = new TestBus(card);
  const location = bus.config(CAPABILITY + 8);
  const place = { bar: location & 7, offset: location & ~7, sizeBytes: bus.config(CAPABILITY + 12) };
  bus.setConfig(0x04, MEMORY_SPACE, 2);
  const bytes = Buffer.alloc(place.sizeBytes);
  for (let at = 0; at < bytes.length; at += 4)
    card.readRegion(place.bar, place.offset + at, bytes.subarray(at, at + 4));
  return { ...place, bytes };
}

/** Where bytes are not 0: offset, and the run in hexadecimal. */
function runs(bytes: Buffer): [offset: string, hex: string][] {
  const found: [string, string][] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.subarray(at, at + 4).toString('hex');
    if (word !== '00000000') found.push([`0x${at.toString(16)}`, word]);
  }
  return found;
}

const text = (bytes: Buffer, offset: number): string => bytes.toString('latin1', offset, bytes.indexOf(0, offset));

describe('the layout of the table', () => {
  it.each(STRUCTS.map((struct) => [struct.name, struct] as const))(
    'of struct %s needs no packing in C: every number is naturally aligned',
    (_, struct) => {
      for (const { member, offset } of placedMembers(struct)) expect(offset % alignmentOfMember(member)).toBe(0);
    },
  );

  it('encodes these devices as exactly these bytes', () => {
    const { bytes } = tableOf(
      new BlockCard([
        device({
          name: 'dma',
          compatible: 'a,b',
          windows: { regs: { bar: 0, offset: PAGE, sizeBytes: 2 * PAGE }, ram: { bar: 2 } },
          interrupt: { msixVector: 5 },
          dmaMaskBits: 40,
          coherent: false,
          dmaBuffers: { ring: 2 * PAGE },
          reset: { window: 'regs', offset: 0x10, value: 0x81, busyMask: 0x8000_0000, limitMs: 2.5 },
        }),
      ]),
    );
    expect(runs(bytes)).toEqual([
      ['0x0', '47435054'], // magic: GCPT
      ['0x4', '01000000'], // version 1.0
      ['0x8', '90020000'], // length 656
      ['0xc', '47923ac6'], // crc
      ['0x10', '01007002'], // 1 block of 624 bytes
      ['0x20', '646d6100'], // name
      ['0x40', '612c6200'], // compatible
      ['0x80', '02000000'], // MSI-X
      ['0x84', '05000000'], // vector
      ['0x88', '28000000'], // 40 bits
      ['0x90', '02000000'], // windows
      ['0x94', '01000000'], // buffers
      ['0x9c', '10000000'], // reset: window 0, offset
      ['0xa0', '81000000'], // value
      ['0xa4', '00000080'], // busy mask
      ['0xa8', 'c4090000'], // 2500 us
      ['0xb0', '72656773'], // window 0: regs
      ['0xd8', '00100000'], // offset
      ['0xe0', '00200000'], // size
      ['0xe8', '72616d00'], // window 1: ram
      ['0x108', '02000000'], // BAR
      ['0x118', '00001000'], // size
      ['0x1c8', '72696e67'], // buffer 0: ring
      ['0x1e8', '00200000'], // size
    ]);
  });

  it('has the CRC-32 of all bytes, computed with the CRC field as 0', () => {
    const { bytes } = tableOf(new BlockCard([device(), device({ name: 'two', windows: { ram: { bar: 2 } } })]));
    const stored = bytes.readUInt32LE(0x0c);
    bytes.writeUInt32LE(0, 0x0c);
    expect(stored).toBe(crc32(bytes));
  });

  it('marks a device as not coherent when its card is not', () => {
    expect(tableOf(new BlockCard([device()], { coherent: false })).bytes.readUInt32LE(0x8c)).toBe(0);
  });

  it('defaults to coherent, 64 bits, no interrupt and no reset', () => {
    const { bytes } = tableOf(new BlockCard([device()]));
    expect([0x80, 0x88, 0x8c, 0x98].map((offset) => bytes.readUInt32LE(offset))).toEqual([0, 64, 1, 0xffff_ffff]);
  });
});

describe('the place of the table', () => {
  it('is after the pending bits in the MSI-X BAR, on a separate page', () => {
    const card = new BlockCard([device()]);
    expect(tableOf(card)).toMatchObject({ bar: 4, offset: 2 * PAGE, sizeBytes: 656 });
    expect(card.layout.regions[4]!.sizeBytes).toBe(4 * PAGE);
  });

  it('does not move the MSI-X table and the pending bits', () => {
    const card = new BlockCard([device()]);
    const bus = new TestBus(card);
    bus.setConfig(0x04, MEMORY_SPACE, 2);
    card.writeRegion(4, 0x8, Buffer.from('efbeadde', 'hex'));
    const entry = Buffer.alloc(16);
    card.readRegion(4, 0, entry);
    expect(entry.toString('hex')).toBe('0000000000000000efbeadde01000000');
  });

  it('is the first free BAR on a card without MSI-X', () => {
    class Small extends PciCard {
      readonly memory = this.memoryBar(0, 1 << 20);
      constructor() {
        super({ vendorId: 0x1234, deviceId: 1, classCode: 0, platformDevices: [device()] });
      }
    }
    const table = tableOf(new Small());
    expect(table).toMatchObject({ bar: 2, offset: 0 });
    expect(text(table.bytes, 0x20)).toBe('block');
  });

  it('can be chosen in a BAR of the card, also in the one with the MSI-X table', () => {
    const msix = { bar: 2, vectors: 8, tableOffset: 0x8000 };
    const windows = { registers: { bar: 0 }, memory: { bar: 2, sizeBytes: 0x8000 } } as const;
    const card = new BlockCard([device({ windows })], { msix, platformTable: { bar: 2, offset: 0xa000 } });
    const table = tableOf(card);
    expect(table).toMatchObject({ bar: 2, offset: 0xa000 });
    expect(text(table.bytes, 0x20)).toBe('block');
    expect(card.layout.regions[4]!.sizeBytes).toBe(0);
    card.memory.bytes[0xa000 + 656] = 7;
    expect(new TestBus(card).read(2, 0xa000 + 656)).toBe(7);
    expect(card.inspection.contents().memory).toEqual([
      { bar: 2, offset: 0, sizeBytes: 0x8000 },
      { bar: 2, offset: 0x8080, sizeBytes: 0xf80 },
      { bar: 2, offset: 0x9008, sizeBytes: 0xff8 },
      { bar: 2, offset: 0xa290, sizeBytes: (1 << 20) - 0xa290 },
      { bar: 2, offset: 0xa000, sizeBytes: 656 },
    ]);
  });

  it('is a BAR of its own when MSI-X lies in one of the card', () => {
    const card = new BlockCard([device()], { msix: { bar: 2, vectors: 8, tableOffset: 0 } });
    expect(tableOf(card)).toMatchObject({ bar: 1, offset: 0 });
  });

  it('does not exist when all BAR slots of the card are taken: reading the layout throws', () => {
    class Full extends PciCard {
      constructor() {
        super({ vendorId: 0x1234, deviceId: 1, classCode: 0, platformDevices: [device()] });
        for (const bar of [0, 2, 4]) this.memoryBar(bar, PAGE);
      }
    }
    expect(() => new Full().layout).toThrow('no BAR is free for the table of the platform devices: all six slots');
  });

  it('can be read across its start, and reads 0 after its end', () => {
    const card = new BlockCard([device()]);
    new TestBus(card).setConfig(0x04, MEMORY_SPACE, 2);
    const bytes = Buffer.alloc(16, 0xff);
    card.readRegion(4, 2 * PAGE - 8, bytes);
    expect(bytes.toString('hex')).toBe('0000000000000000' + '4743505401000000');
    card.readRegion(4, 4 * PAGE - 16, bytes);
    expect(bytes.equals(Buffer.alloc(16))).toBe(true);
  });

  it('cannot be written', () => {
    const card = new BlockCard([device()]);
    new TestBus(card).setConfig(0x04, MEMORY_SPACE, 2);
    const before = tableOf(card).bytes;
    card.writeRegion(4, 2 * PAGE, Buffer.alloc(64, 0xff));
    expect(tableOf(card).bytes.equals(before)).toBe(true);
  });

  it('is at the end of the capability chain; a card without platform devices has no such capability', () => {
    const chain = (card: PciCard): number[] => {
      const bus = new TestBus(card);
      const ids = [];
      for (let at = bus.config(0x34, 1); at !== 0; at = bus.config(at + 1, 1)) ids.push(bus.config(at, 1));
      return ids;
    };
    expect(chain(new BlockCard([device()]))).toEqual([0x01, 0x11, 0x10, 0x09]);
    expect(chain(new BlockCard([]))).toEqual([0x01, 0x11, 0x10]);
    expect(new TestBus(new BlockCard([device()])).config(CAPABILITY)).toBe(0x0010_0009);
  });
});

describe('an invalid declaration throws an error that says why', () => {
  const page = { offset: 0, sizeBytes: PAGE } as const;
  it.each<[string, Partial<PlatformDevice>, string]>([
    ['a name with a slash', { name: 'a/b' }, "platformDevices[0].name is 'a/b': it must be 1 to 31 letters"],
    ['a name that is too long', { name: 'x'.repeat(32) }, 'it must be 1 to 31 letters'],
    ['a compatible without its manufacturer', { compatible: 'block' }, `it must be "manufacturer,model" of letters`],
    ['a compatible that is too long', { compatible: `a,${'b'.repeat(62)}` }, 'at most 63 characters'],
    ['no windows', { windows: {} }, "platform device 'block' has no windows: it needs at least one"],
    ['a window without a name', { windows: { '': { bar: 0 } } }, "the name of a window or buffer is ''"],
    [
      'a window whose name would change the order of the maps',
      { windows: { registers: { bar: 0 }, 0: { bar: 2 } } },
      "a window or buffer is named '0': JavaScript moves names of digits only to the front",
    ],
    ['an absent BAR', { windows: { r: { bar: 5 } } }, "window 'r' of platform device 'block' is in BAR 5"],
    ['the upper half of a BAR', { windows: { r: { bar: 3 } } }, "window 'r' of platform device 'block' is in BAR 3"],
    [
      'the BAR of MSI-X',
      { windows: { r: { bar: 4 } } },
      "window 'r' of platform device 'block' (BAR 4, 0 to 0x3fff) contains the MSI-X table (BAR 4, 0 to 0x7f)",
    ],
    [
      'a window that is not page-aligned',
      { windows: { r: { bar: 0, offset: 16 } } },
      'offset is 0x10: it must be a multiple of a page',
    ],
    [
      'a window of part of a page',
      { windows: { r: { bar: 0, sizeBytes: 100 } } },
      'sizeBytes is 0x64: it must be a multiple of a page (0x1000)',
    ],
    [
      'a window that is larger than its BAR',
      { windows: { r: { bar: 0, offset: PAGE, sizeBytes: 4 * PAGE } } },
      'is 0x4000 bytes at 0x1000: BAR 0 (registers) has 0x4000',
    ],
    [
      'windows that overlap',
      { windows: { a: { bar: 0, ...page }, b: { bar: 0 } } },
      "window 'b' of platform device 'block' (BAR 0, 0 to 0x3fff) and window 'a' of platform device 'block' (BAR 0, 0 to 0xfff) overlap",
    ],
    [
      'more maps than a UIO device has',
      { dmaBuffers: { a: PAGE, b: PAGE, c: PAGE, d: PAGE, e: PAGE } },
      'has 6 windows and DMA buffers (registers, a, b, c, d, e): a UIO device has at most 5 maps',
    ],
    ['a window and a buffer of one name', { dmaBuffers: { registers: PAGE } }, "are both named 'registers'"],
    ['a buffer of part of a page', { dmaBuffers: { ring: 100 } }, "the size of DMA buffer 'ring' is 0x64"],
    ['a mask of no bits', { dmaMaskBits: 0 }, 'dmaMaskBits is 0: it must be an integer from 1 to 0x40'],
    ['a mask of too many bits', { dmaMaskBits: 65 }, 'dmaMaskBits is 65'],
    ['an absent MSI-X vector', { interrupt: { msixVector: 8 } }, 'MSI-X vector 8: the card has 0 to 7'],
    [
      'a reset register outside its window',
      { reset: { window: 'registers', offset: 0x4000, value: 1 } },
      "reset.offset is 0x4000: it must be a multiple of 4 in window 'registers', which has 0x4000 bytes",
    ],
    [
      'a reset in no window',
      { reset: { window: 'ram', offset: 0, value: 1 } },
      "reset.window is 'ram': its windows are registers",
    ],
    [
      'a reset timeout above the limit',
      { reset: { window: 'registers', offset: 0, value: 1, limitMs: 60_000 } },
      '10000',
    ],
  ])('about %s', (_, change, message) => {
    expect(() => new BlockCard([device(change)]).layout).toThrow(message);
  });

  const two = (first: Partial<PlatformDevice>, second: Partial<PlatformDevice>) => () =>
    new BlockCard([device(first), device({ name: 'other', windows: { ram: { bar: 2 } }, ...second })]).layout;

  it('for two devices of one name', () => {
    expect(two({}, { name: 'block' })).toThrow("platform device 'block' is declared twice");
  });

  it('for two devices that share an interrupt', () => {
    expect(two({ interrupt: 'intx' }, { interrupt: 'intx' })).toThrow("'other' and 'block' both use INTx");
    const interrupt = { msixVector: 1 };
    expect(two({ interrupt }, { interrupt })).toThrow('both use MSI-X vector 1');
  });

  it('for INTx with MSI-X, which exclude each other on a function', () => {
    expect(two({ interrupt: 'intx' }, { interrupt: { msixVector: 0 } })).toThrow('a function uses one or the other');
  });

  it('for interrupts that the card does not have', () => {
    const identity = { vendorId: 0x1234, deviceId: 1, classCode: 0 };
    class Plain extends PciCard {}
    const make = (interrupt: PlatformDevice['interrupt']) =>
      new (Plain as unknown as new (identity: CardIdentity) => PciCard)({
        ...identity,
        platformDevices: [device(interrupt === undefined ? {} : { interrupt })],
      });
    expect(() => make('intx')).toThrow("uses INTx, but the card has no INTx pin: add intx: 'A'");
    expect(() => make({ msixVector: 0 })).toThrow('MSI-X vector 0: the card has no MSI-X');
  });

  it('at compile time, for a reset in no window', () => {
    const reset = { offset: 0, value: 1 };
    const { name } = platformDevice({
      name: 'checked',
      compatible: 'a,b',
      windows: { registers: { bar: 0 } },
      // @ts-expect-error: there is no window of this name
      reset: { window: 'register', ...reset },
    });
    expect(name).toBe('checked');
  });
});
