/** Configuration space of the author's own: capabilities, extended capabilities, registers outside of them. */
import { describe, expect, test } from 'vitest';
import { TestBus } from '../../test/support/pci-bus';
import { ManualClock } from '../clock';
import { registerMap } from '../registers';
import { dvsecRegisters, vsecRegisters } from './capabilities/custom';
import { PciCard } from './card';
import { type CardIdentity } from './identity';

const BUILD = registerMap({
  DATE: { offset: 0x4, access: 'ro', reset: 0x2026_1130 },
  SCRATCH: { offset: 0x8, access: 'rw', reset: 5 },
});
const VSEC = registerMap({
  ...vsecRegisters({ id: 0x20, revision: 2, lengthBytes: 0x10 }),
  CONTROL: { offset: 0x8, access: 'rw', fields: { GO: [0] } },
  COUNT: { offset: 0xc, access: 'ro' },
});

class OpenCard extends PciCard {
  constructor(change: Partial<CardIdentity>, add: (card: OpenCard) => void) {
    const identity = { vendorId: 0x10ee, deviceId: 0x9031, classCode: 0x12_00_00, msi: { vectors: 1 } };
    super({ ...identity, ...change }, { clock: new ManualClock() });
    add(this);
  }

  override capability: PciCard['capability'] = (capability) => super.capability(capability);
  override extendedCapability: PciCard['extendedCapability'] = (capability) => super.extendedCapability(capability);
  override configRegisters: PciCard['configRegisters'] = (registers) => super.configRegisters(registers);
}

const busOf = (add: (card: OpenCard) => void, change: Partial<CardIdentity> = {}) =>
  new TestBus(new OpenCard(change, add));

function chainOf(bus: TestBus): string[] {
  const found: string[] = [];
  for (let at = bus.config(0x34, 1); at !== 0; at = bus.config(at + 1, 1)) {
    found.push(`${bus.config(at, 1).toString(16)}@${at.toString(16)}`);
  }
  return found;
}

function extendedChainOf(bus: TestBus): string[] {
  const found: string[] = [];
  for (let at = 0x100; at !== 0; at = bus.config(at) >>> 20) {
    found.push(`${(bus.config(at) & 0xffff).toString(16)}@${at.toString(16)}`);
  }
  return found;
}

describe('a capability of the author', () => {
  test('lies in the first gap, or where the author says, and several may be of one kind (PCI 6.7)', () => {
    const bus = busOf((card) => {
      card.capability({ name: 'BUILD', id: 0x09, map: BUILD });
      card.capability({ name: 'OTHER', id: 0x09, map: BUILD, offset: 0xf0 });
    });
    expect(chainOf(bus)).toEqual(['1@40', '5@50', '9@68', '10@80', '9@f0']);
    expect([bus.config(0x68), bus.config(0x6c)]).toEqual([0x000c_8009, 0x2026_1130]);
  });

  test('has registers with access rules, hooks and reset values', () => {
    const written: number[] = [];
    const bus = busOf((card) => {
      const build = card.capability({ name: 'BUILD', id: 0x09, map: BUILD, offset: 0xe0 });
      build.onWrite('SCRATCH', ({ value }) => written.push(value));
      build.onRead('DATE', (stored) => stored + build.get('SCRATCH'));
    });
    expect(bus.config(0xe8)).toBe(5);
    bus.setConfig(0xe8, 9, 1);
    bus.setConfig(0xe4, 0xffff_ffff);
    expect([written, bus.config(0xe4)]).toEqual([[9], 0x2026_1139]);
    bus.device.reset();
    expect(bus.config(0xe8)).toBe(5);
  });

  test('of another kind than vendor-specific has only the registers of its map', () => {
    const map = registerMap({ ADDRESS: { offset: 2, width: 16, access: 'rw' }, DATA: { offset: 4, access: 'ro' } });
    const bus = busOf((card) => card.capability({ name: 'VPD', id: 0x03, map, offset: 0xb0 + 0x10 }));
    expect(bus.config(0xc0)).toBe(0x0000_0003);
    bus.setConfig(0xc2, 0xffff, 2);
    expect(bus.config(0xc0)).toBe(0xffff_0003);
  });
});

describe('an extended capability of the author', () => {
  test('is chained from 0x100 on, behind or before the serial number (PCIe 7.6.3, PCIe 7.9.5)', () => {
    const add = (offset?: number) => (card: OpenCard) => {
      card.extendedCapability({ name: 'VSEC', id: 0x0b, map: VSEC, ...(offset && { offset }) });
      card.extendedCapability({
        name: 'LTR',
        id: 0x18,
        version: 3,
        map: registerMap({ SNOOP: { offset: 4, access: 'rw' } }),
      });
    };
    expect(extendedChainOf(busOf(add()))).toEqual(['b@100', '18@110', '1@118']);
    expect(extendedChainOf(busOf(add(), { serialNumber: 1n }))).toEqual(['3@100', 'b@10c', '18@11c', '1@124']);
    expect(extendedChainOf(busOf(add(0x100), { serialNumber: 1n }))).toEqual(['b@100', '3@110', '18@11c', '1@124']);
    expect(extendedChainOf(busOf(add(), { capabilityOffsets: { AER: 0x100 } }))).toEqual(['1@100', 'b@12c', '18@13c']);
    expect(extendedChainOf(busOf(add(), { advancedErrorReporting: false }))).toEqual(['b@100', '18@110']);
    const bus = busOf(add(0x100));
    expect([bus.config(0x100), bus.config(0x104), bus.config(0x110)]).toEqual([0x1101_000b, 0x0102_0020, 0x1183_0018]);
  });

  test('can be a DVSEC', () => {
    const header = dvsecRegisters({ vendorId: 0x10ee, id: 7, revision: 1, lengthBytes: 0x10 });
    const map = registerMap({ ...header, DATA: { offset: 0xc, access: 'rw' } });
    const bus = busOf((card) => card.extendedCapability({ name: 'D', id: 0x23, map }));
    expect([0x100, 0x104, 0x108].map((at) => bus.config(at))).toEqual([0x1101_0023, 0x0101_10ee, 7]);
  });
});

describe('registers of the author outside of capabilities', () => {
  const PATCH = registerMap({ KEY: { offset: 0xf8, access: 'rw' }, LATE: { offset: 0xffe, width: 16, access: 'rw' } });

  test('lie at fixed offsets, with gaps between them for capabilities', () => {
    const bus = busOf((card) => {
      const patch = card.configRegisters({ name: 'PATCH', map: PATCH });
      patch.onWrite('KEY', ({ value }) => patch.set('LATE', value & 0xffff));
      card.extendedCapability({ name: 'VSEC', id: 0x0b, map: VSEC });
    });
    bus.setConfig(0xf8, 0x1234_5678);
    expect([bus.config(0xf8), bus.config(0xffe, 2), bus.config(0xfc), bus.config(0x104)]).toEqual([
      ...[0x1234_5678, 0x5678, 0, 0x0102_0020],
    ]);
  });

  test('push capabilities without a fixed place out of the way', () => {
    const map = registerMap({ ERRATUM: { offset: 0x40, access: 'rw' } });
    expect(chainOf(busOf((card) => card.configRegisters({ name: 'FIX', map })))[0]).toBe('1@44');
  });
});

describe('the place of capabilities of the library', () => {
  const offsets = { PM: 0x40, MSI: 0x48, PCIE: 0x60, MSIX: 0x9c } as const;
  const msix = { bar: 2, vectors: 4 };

  test('can be that of a real card', () => {
    const bus = busOf(() => {}, { capabilityOffsets: offsets, msix });
    expect(chainOf(bus)).toEqual(['1@40', '5@48', '10@60', '11@9c']);
    bus.setConfig(0x4c, 0xffff_ffff);
    expect(bus.config(0x4c)).toBe(0xffff_fffc);
  });

  test('and their order in the chain too', () => {
    const bus = busOf(() => {}, { capabilityOffsets: offsets, msix, capabilityOrder: ['PCIE', 'MSIX'] });
    expect(chainOf(bus)).toEqual(['10@60', '11@9c', '1@40', '5@48']);
  });
});

describe('what cannot be placed is refused', () => {
  const small = registerMap({ A: { offset: 4, access: 'rw' } });
  test.each<[string, (card: OpenCard) => void, Partial<CardIdentity>, string]>([
    [
      'two capabilities in one place',
      (c) => c.capability({ name: 'B', id: 9, map: BUILD, offset: 0x84 }),
      { capabilityOffsets: { PCIE: 0x80 } },
      'capability B (0x84 to 0x8f) and PCIE (0x80 to 0xbb) overlap: move one of them',
    ],
    [
      'a capability in registers',
      (c) => {
        c.configRegisters({ name: 'R', map: registerMap({ X: { offset: 0xf4, access: 'rw' } }) });
        c.capability({ name: 'B', id: 9, map: BUILD, offset: 0xf0 });
      },
      {},
      'capability B (0xf0 to 0xfb) and R.X (0xf4 to 0xf7) overlap',
    ],
    [
      'a capability at an odd place',
      (c) => c.capability({ name: 'B', id: 9, map: BUILD, offset: 0xf2 }),
      {},
      'its offset must be a multiple of 4',
    ],
    [
      'a capability in extended space',
      (c) => c.capability({ name: 'B', id: 9, map: BUILD, offset: 0x100 }),
      {},
      'is not inside configuration space for capabilities (0x40 to 0xff)',
    ],
    [
      'a capability without room',
      (c) => c.capability({ name: 'B', id: 9, map: registerMap({ A: { offset: 0x60, access: 'rw' } }) }),
      {},
      'capability B (100 bytes): there is no gap for it in configuration space for capabilities',
    ],
    [
      'no extended capability at 0x100',
      (c) => c.extendedCapability({ name: 'E', id: 0xb, map: VSEC, offset: 0x140 }),
      { advancedErrorReporting: false },
      'no extended capability lies at 0x100, where the chain begins: give one of E the offset 0x100',
    ],
    [
      'error reporting beside that of the library',
      (c) => c.extendedCapability({ name: 'ERRORS', id: 1, map: VSEC }),
      {},
      'capability ERRORS: the library has Advanced Error Reporting (id 1): leave this one out',
    ],
    [
      'a name twice',
      (c) => {
        c.capability({ name: 'B', id: 9, map: small });
        c.capability({ name: 'B', id: 9, map: small });
      },
      {},
      "'B' in configuration space: there is one of this name already",
    ],
    [
      'a name of the library',
      (c) => c.capability({ name: 'PM', id: 9, map: small }),
      {},
      "'PM' in configuration space: there is one",
    ],
    [
      'registers where the id is',
      (c) => c.capability({ name: 'B', id: 9, map: registerMap({ A: { offset: 0, access: 'rw' } }) }),
      {},
      'capability B: A is at offset 0, but the first 2 bytes hold',
    ],
    [
      'an id that is too large',
      (c) => c.capability({ name: 'B', id: 0x123, map: small }),
      {},
      'capability B: id is 291: it must be an integer from 1 to 0xff',
    ],
    [
      'registers in the header',
      (c) => c.configRegisters({ name: 'R', map: small }),
      {},
      'configuration register R.A (32 bits at 0x4) lies in the header (0x0 to 0x3f)',
    ],
    [
      'an order of what is not there',
      () => {},
      { capabilityOrder: ['MSIX'] },
      'capabilityOrder names MSIX: the card has the capabilities PM, PCIE, MSI',
    ],
  ])('%s', (_, add, change, message) => {
    expect(() => new OpenCard(change, add).layout).toThrow(message);
  });

  test('whatever comes after the layout has been read', () => {
    const card = new OpenCard({}, () => {});
    void card.layout;
    expect(() => card.capability({ name: 'B', id: 9, map: small })).toThrow(
      'add to it in the constructor or in fields',
    );
  });
});
