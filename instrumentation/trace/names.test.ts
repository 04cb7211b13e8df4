/** Names of what is not a register of the author's in a BAR of its own. */
import { expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { describeTrace, traceOf } from '.';

const VERSION = registerMap({ DATE: { offset: 4, access: 'ro', reset: 5 } });

class VendorCard extends PciCard {
  readonly registers = this.registerBar(1, registerMap({ ID: { offset: 0, access: 'ro' } }, { sizeBytes: 0x1_0000 }));

  constructor() {
    const msix = { bar: 1, vectors: 32, tableOffset: 0x8000, pbaOffset: 0x8fe0 };
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0, msix }, { clock: new ManualClock() });
    this.capability({ name: 'VERSION', id: 9, map: VERSION, offset: 0xd0 });
    this.extendedCapability({ name: 'VSEC', id: 0x0b, map: VERSION });
    this.configRegisters({ name: 'PATCH', map: registerMap({ KEY: { offset: 0xf8, access: 'rw' } }) });
    this.expansionRom(Uint8Array.of(1, 2, 3, 4));
  }
}

it('a trace names the MSI-X table in a BAR of registers, capabilities of the author, and the ROM', () => {
  const card = new VendorCard();
  const host = new InProcessHost(card);
  host.bar(1).write32(0x801c, 0);
  host.bar(1).read32(0x8fe0);
  for (const offset of [0xd4, 0x104, 0xf8]) host.config.read32(offset);
  host.rom.read32(0);
  const lines = describeTrace(traceOf(card), { last: 6 }).filter((line) => /^\s*\S+ us/.test(line));
  expect(lines.map((line) => line.replace(/^\s*\S+ us\s+/, ''))).toEqual([
    'write MSIX.VECTOR[1].VECTOR_CONTROL 0x00000000',
    'read MSIX.PBA[0].PENDING 0x00000000',
    'read config:VERSION.DATE 0x00000005',
    'read config:VSEC.DATE 0x00000005',
    'read config:PATCH.KEY 0x00000000',
    'read ROM + 0x0 0x04030201 (4 bytes)',
  ]);
});
