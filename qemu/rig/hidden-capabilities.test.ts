import { expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { hiddenCapabilities } from './hidden-capabilities';

class ExtendedCard extends PciCard {
  constructor(ids: readonly number[]) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0, serialNumber: 1n }, { clock: new ManualClock() });
    const map = registerMap({ DATA: { offset: 4, access: 'rw' } });
    for (const id of ids) this.extendedCapability({ name: `CAP${id}`, id, map });
    this.capability({ name: 'STANDARD', id: 0x10, map });
  }
}

it('extended capabilities that QEMU does not show are named, all others are not', () => {
  expect(hiddenCapabilities(new ExtendedCard([0x0b, 0x10, 0x18, 0x0e]))).toEqual([
    expect.stringMatching(/^the guest does not see the capability CAP16 at 0x114 \(SR-IOV\): QEMU leaves it out/),
    expect.stringMatching(/^the guest does not see the capability CAP14 at 0x124 \(ARI\)/),
  ]);
  expect(hiddenCapabilities(new ExtendedCard([0x0b]))).toEqual([]);
});
