/**
 * The reference card as a memory-mapped device: the user-space drivers of guest-tools under each kernel driver for
 * platform devices, in one guest of each architecture. The card is bound to each in turn.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IRQ_SOURCES, type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { mapsHaveDmaAddresses, runApp, startRig } from '../support/rig';

const KiB = 1 << 10;
const MiB = 1 << 20;

/** Buffers that the card declares in its platform table, ring and data, and the numbers of their maps. */
const RING_BYTES = 64 * KiB;
const MAPS = { ring: 2, data: 3 };

describe.each(GUEST_ARCHES)('in a guest of %s, a card', (arch) => {
  let rig: Rig;
  let card: ReferenceCard;
  /** What the drivers have done to the card. */
  const seen = { triggers: 0, softResets: 0, ringBases: [] as bigint[] };
  beforeAll(async () => {
    rig = await startRig({ arch });
    card = rig.card<ReferenceCard>('card');
    card.registers.onWrite('IRQ_TRIGGER', () => seen.triggers++);
    card.registers.onWrite('CONTROL', ({ value }) => (seen.softResets += value & 1));
    card.registers.onWrite('H2C[0].RING_BASE', ({ value }) => seen.ringBases.push(value));
  });
  afterAll(() => rig?.close());

  /** What a command prints to a shell of the guest's own, line by line. */
  async function lines(script: string): Promise<string[]> {
    const { exitCode, stdout, stderr } = await rig.guest.run(['busybox', 'sh', '-c', script]);
    expect(exitCode, String(stderr)).toBe(0);
    return String(stdout).trimEnd().split('\n');
  }

  describe.each([
    { driver: 'uio_pdrv_genirq', node: '/dev/uio0', reset: false, largest: 16 * MiB },
    { driver: 'uio_dmem_genirq', node: '/dev/uio0', reset: false, largest: 1 * MiB },
    { driver: 'vfio-platform', node: '/dev/vfio/noiommu-0', reset: true, largest: 16 * MiB },
    { driver: 'uio_dmem_genirq', node: '/dev/uio0', reset: false, largest: 1 * MiB },
  ])('bound to $driver', ({ driver, node, reset, largest }) => {
    const ownsBuffers = driver === 'uio_dmem_genirq';

    it('is a platform device with the device node of that driver', async () => {
      const { platformDevices } = await rig.bind('card', driver);
      expect(platformDevices).toEqual([{ name: 'ghostcard-ref.256', node }]);
    });

    it('is identified by its registers, opened by its name or by the address of its function', async () => {
      expect(await runApp(rig, 'card', ['gc-identify'])).toMatchObject({
        device: 'ghostcard-ref.256',
        driver,
        irq_mode: 'line',
      });
      expect((await lines('gc-identify --device ghostcard-ref.256')).at(-1)).toMatch(/^gc-identify: passed/);
    });

    it('has two windows, found by their names', async () => {
      const [id, memory] = await lines(
        'export D="--device ghostcard-ref.256"; gc-reg $D ID | head -1; gc-reg $D --window memory 0x40=7 0x40 | tail -2',
      );
      expect(id).toBe('0x0000 = 0x47484331');
      expect(memory).toBe('0x0040 = 0x00000007');
    });

    it('has an error with its windows when another is requested', async () => {
      const { exitCode, stderr } = await rig.guest.run('gc-reg --device ghostcard-ref.256 --window extra 0'.split(' '));
      expect(exitCode).toBe(2);
      expect(String(stderr)).toContain("no window 'extra': its windows are registers, memory");
    });

    it('has 16 MiB of memory, in accesses of every size and by DMA', async () => {
      expect((await runApp(rig, 'card', ['gc-memtest'])).bytes).toBeGreaterThan(32 * MiB);
    });

    it('delivers every interrupt, and no others, and none while the kernel masks it', async () => {
      seen.triggers = 0;
      const report = await runApp(rig, 'card', ['gc-irq']);
      expect(report).toMatchObject({ irq_mode: 'line', not_possible: 0 });
      expect(report.interrupts).toBeGreaterThan(100);
      expect(seen.triggers).toBe(report.interrupts);
    });

    it('has no MSI-X, which is reported', async () => {
      const { exitCode, stderr } = await rig.guest.run('gc-irq --device ghostcard-ref.256 --irq msix'.split(' '));
      expect(exitCode).toBe(2);
      expect(String(stderr)).toContain('a platform device has one interrupt, of mode line');
    });

    it(`moves data in both directions, 1 byte to ${largest / MiB} MiB, at unaligned addresses`, async () => {
      const report = await runApp(rig, 'card', ['gc-loopback', '--max-size', `${largest}`]);
      expect(report.bytes).toBeGreaterThan(largest);
      expect(report.interrupts).toBeGreaterThan(0);
      expect(report.not_possible).toBe(0);
    });

    it('computes the CRC-32C of packets', async () => {
      const report = await runApp(rig, 'card', ['gc-crc']);
      expect(report.bytes).toBeGreaterThan(4 * MiB);
      expect(report.not_possible > 0).toBe(ownsBuffers);
    });

    it('reports bad descriptors precisely, and continues when the driver has cleared the error', async () => {
      await runApp(rig, 'card', ['gc-errors']);
    });

    it('reads and overwrites memory that the driver never gave it: there is no IOMMU', async () => {
      expect(await runApp(rig, 'card', ['gc-stray'])).toMatchObject({ stray_write: 'changed', stray_read: 'leaked' });
    });

    it('has its initial state after a reset, and a driver without a reset is reported as such', async () => {
      const report = await runApp(rig, 'card', ['gc-reset']);
      // A program never has configuration space; without a reset by the kernel, that is the second missing part.
      expect(report.not_possible).toBe(reset ? 1 : 2);
      expect(card.registers.get('IRQ_ENABLE')).toBe(0);
      expect(card.registers.get('IRQ_STATUS') & (1 << IRQ_SOURCES.USER)).toBe(0);
    });

    it(
      reset ? 'is reset by the kernel with the first open and the last close' : 'is not reset by an open',
      async () => {
        seen.softResets = 0;
        await lines('gc-reg --device ghostcard-ref.256 ID');
        expect(seen.softResets).toBe(reset ? 2 : 0);
      },
    );

    if (ownsBuffers) {
      it('has its ring in a buffer of the kernel, at the address in sysfs', async () => {
        seen.ringBases = [];
        const [ring, ringBytes, data, ...addresses] = await lines(
          'exec 3<>/dev/uio0; cd /sys/class/uio/uio0/maps; ' +
            `cat map${MAPS.ring}/addr map${MAPS.ring}/size map${MAPS.data}/addr; ` +
            'cat /sys/bus/platform/devices/ghostcard-ref.256/dma_addresses; gc-crc --device ghostcard-ref.256 >&2',
        );
        expect(Number(ringBytes)).toBe(RING_BYTES);
        const [ringBase, dataBase] = addresses.map(BigInt) as [bigint, bigint];
        if (mapsHaveDmaAddresses(arch)) expect([BigInt(ring!), BigInt(data!)]).toEqual([ringBase, dataBase]);
        expect(seen.ringBases.length).toBeGreaterThan(0);
        for (const base of seen.ringBases) {
          expect(base).toBeGreaterThanOrEqual(ringBase);
          expect(base).toBeLessThan(ringBase + BigInt(RING_BYTES));
        }
        // uio_dmem_genirq allocates below 4 GiB, whatever the device can reach.
        expect(dataBase).toBeLessThan(1n << 32n);
      });

      it('has an error with the declared sizes when more is requested', async () => {
        const report = await runApp(rig, 'card', ['gc-loopback']);
        expect(report.bytes).toBeGreaterThan(1 * MiB);
        expect(report.not_possible).toBe(4); // the buffers as wanted, and three sizes of transfers
      });
    } else {
      it('has its ring in hugepages of the program', async () => {
        seen.ringBases = [];
        await runApp(rig, 'card', ['gc-crc']);
        expect(seen.ringBases[0]! % BigInt(2 * MiB)).toBe(0n);
      });
    }
  });
});
