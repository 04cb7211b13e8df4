/**
 * A card that is not coherent, under the drivers of guest-tools: they work as with any other card, and a missing
 * synchronisation always shows. docs/coherence.md is about this.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

const ROUNDS = 20;
const DRIVERS = ['uio_pci_generic', 'vfio-pci', 'uio_pdrv_genirq', 'uio_dmem_genirq', 'vfio-platform'];

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      arch,
      cards: [
        { name: 'coherent', make: reference() },
        { name: 'not-coherent', make: reference({ coherent: false }) },
      ],
    });
  });
  afterAll(() => rig?.close());

  const counts = () => ({ ...rig.card<ReferenceCard>('not-coherent').coherence!.counts });

  describe.each(DRIVERS)('a card that is not coherent, bound to %s', (driver) => {
    it.each([
      ['gc-identify'],
      ['gc-memtest', '--words', '16'],
      ['gc-irq'],
      driver === DRIVERS[0] ? ['gc-loopback'] : ['gc-loopback', '--max-size', '1048576'],
      ['gc-crc'],
      ['gc-errors'],
      ['gc-reset'],
    ])('%s passes, and no byte is stale or never synchronised', async (...argv) => {
      await rig.bind('not-coherent', driver);
      const { neverSynchronised, stale } = counts();
      await runApp(rig, 'not-coherent', argv);
      expect(counts()).toMatchObject({ neverSynchronised, stale });
    });

    it('always gives stale bytes to a driver that does not synchronise', async () => {
      await rig.bind('not-coherent', driver);
      const report = await runApp(rig, 'not-coherent', ['gc-coherence', '--rounds', String(ROUNDS)]);
      expect(report).toMatchObject({ driver, coherent: 'no', never_synchronised: ROUNDS * 4096 });
      expect((report as unknown as { stale: number }).stale).toBeGreaterThan(0);
    });
  });

  it('gc-stray passes without an IOMMU', async () => {
    await rig.bind('not-coherent', 'vfio-pci');
    await runApp(rig, 'not-coherent', ['gc-stray']);
  });

  it('a coherent card gives no stale bytes to a driver that does not synchronise', async () => {
    await rig.bind('coherent', 'uio_pci_generic');
    const report = await runApp(rig, 'coherent', ['gc-coherence', '--rounds', String(ROUNDS)]);
    expect(report).toMatchObject({ coherent: 'yes', never_synchronised: 0, stale: 0 });
  });
});

describe('behind an IOMMU, a card that is not coherent', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ iommu: true, cards: [{ name: 'card', make: reference({ coherent: false }) }] });
    await rig.bind('card', 'vfio-pci');
  });
  afterAll(() => rig?.close());

  it.each([
    ['gc-loopback', '--max-size', '1048576'],
    ['gc-crc'],
    ['gc-errors'],
    ['gc-stray'],
    ['gc-maps'],
    ['gc-coherence'],
  ])('%s passes, with memory synchronised by the addresses that the card sees', async (...argv) => {
    await runApp(rig, 'card', argv);
  });
});
