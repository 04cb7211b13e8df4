/** Two cards in one guest at the same time, each with its own driver and options. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

describe.each(GUEST_ARCHES)('in a guest of %s, two cards', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      arch,
      hugepages: 64,
      cards: [
        { name: 'plain', make: reference() },
        { name: 'mapped', make: reference({ mapMemory: true, addressBits: 32 }) },
      ],
    });
  });
  afterAll(() => rig?.close());

  it('are two functions with drivers of their own', async () => {
    const plain = await rig.bind('plain', 'uio_pci_generic');
    const mapped = await rig.bind('mapped', 'vfio-pci');
    expect(plain.pciAddress).not.toBe(mapped.pciAddress);
    expect([plain.node, mapped.node]).toEqual(['/dev/uio0', '/dev/vfio/noiommu-0']);
  });

  it('move data at the same time and do not disturb each other', async () => {
    const [plain, mapped] = await Promise.all([
      runApp(rig, 'plain', ['gc-loopback', '--irq', 'intx']),
      runApp(rig, 'mapped', ['gc-loopback', '--irq', 'msix']),
    ]);
    expect(plain.driver).toBe('uio_pci_generic');
    expect(mapped.driver).toBe('vfio-pci');
  });

  it('share their memory with the guest, mapped or not: both sides see what the other wrote', async () => {
    for (const name of ['plain', 'mapped']) {
      const card = rig.card<ReferenceCard>(name);
      card.memory.fill(0);
      await runApp(rig, name, ['gc-memtest']);
      expect(
        card.memory.some((byte) => byte !== 0),
        name,
      ).toBe(true);
    }
  });
});
