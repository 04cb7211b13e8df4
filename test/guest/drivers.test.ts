/**
 * The user-space drivers of guest-tools against the reference card, under both kernel drivers, in one guest of
 * each architecture: the card is bound to each in turn.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IRQ_SOURCES, type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

const MiB = 1 << 20;

describe.each(GUEST_ARCHES)('in a guest of %s, a card', (arch) => {
  let rig: Rig;
  let card: ReferenceCard;
  /** What the drivers have done to the card. */
  const seen = { scratch: 0, triggers: 0 };
  beforeAll(async () => {
    rig = await startRig({ arch });
    card = rig.card<ReferenceCard>('card');
    card.registers.onWrite('SCRATCH', ({ value }) => (seen.scratch = value));
    card.registers.onWrite('IRQ_TRIGGER', () => seen.triggers++);
  });
  afterAll(() => rig?.close());

  describe.each([
    { driver: 'uio_pci_generic', node: '/dev/uio0', interrupts: ['intx'] },
    { driver: 'vfio-pci', node: '/dev/vfio/noiommu-0', interrupts: ['intx', 'msi', 'msix'] },
    { driver: 'uio_pci_generic', node: '/dev/uio0', interrupts: ['intx'] },
  ])('bound to $driver', ({ driver, node, interrupts }) => {
    it('has the device node of that driver', async () => {
      expect(await rig.bind('card', driver)).toMatchObject({ node });
    });

    it('is identified by its registers', async () => {
      expect(await runApp(rig, 'card', ['gc-identify'])).toMatchObject({ driver });
    });

    it('keeps what the driver writes to its registers', async () => {
      // Checked while it is written: vfio-pci resets the card when the program closes it.
      await runApp(rig, 'card', ['gc-reg', '0x0c=0xcafef00d']);
      expect(seen.scratch).toBe(0xcafe_f00d);
    });

    it('has 16 MiB of memory behind BAR2, in accesses of every size', async () => {
      const { bytes } = await runApp(rig, 'card', ['gc-memtest']);
      expect(bytes).toBeGreaterThanOrEqual(16);
    });

    for (const irq of interrupts) {
      describe(`with ${irq}`, () => {
        it('delivers every interrupt, and no others', async () => {
          seen.triggers = 0;
          const { interrupts: taken, irq_mode } = await runApp(rig, 'card', ['gc-irq', '--irq', irq]);
          expect(irq_mode).toBe(irq);
          expect(taken).toBeGreaterThan(0);
          expect(seen.triggers).toBe(taken);
        });

        it('moves data in both directions, 1 byte to 16 MiB, at unaligned addresses', async () => {
          const report = await runApp(rig, 'card', ['gc-loopback', '--irq', irq]);
          expect(report.bytes).toBeGreaterThan(16 * MiB);
          expect(report.interrupts).toBeGreaterThan(0);
        });

        it('computes the CRC-32C of packets', async () => {
          expect((await runApp(rig, 'card', ['gc-crc', '--irq', irq])).checks).toBeGreaterThan(0);
        });

        it('reports bad descriptors precisely, and continues when the driver has cleared the error', async () => {
          await runApp(rig, 'card', ['gc-errors', '--irq', irq]);
        });
      });
    }

    it('overwrites and reads memory that the driver never gave it: there is no IOMMU', async () => {
      expect(await runApp(rig, 'card', ['gc-stray'])).toMatchObject({ stray_write: 'changed', stray_read: 'leaked' });
    });

    it('has its initial state after a reset', async () => {
      await runApp(rig, 'card', ['gc-reset']);
      expect(card.registers.get('IRQ_ENABLE')).toBe(0);
      expect(card.registers.get('IRQ_STATUS') & (1 << IRQ_SOURCES.USER)).toBe(0);
    });
  });
});
