/**
 * The card behind a virtual IOMMU: the same programs, with addresses that the driver chooses in place of physical ones, and
 * refused accesses.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { traceOf } from '../../instrumentation/trace';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

/** How the guest's kernel lists remapped messages, which a device cannot send for another. */
const REMAPPED_MSI = { amd64: 'IR-PCI-MSI', arm64: 'ITS-(PCI-)?MSI' } as const;

describe.each(GUEST_ARCHES)('in a guest of %s, a card', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ arch, iommu: true });
  });
  afterAll(() => rig?.close());

  const guestShell = async (script: string) => {
    const { stdout, stderr } = await rig.guest.run(['sh', '-c', script]);
    return `${stdout.toString()}${stderr.toString()}`.trim();
  };

  describe('bound to vfio-pci', () => {
    it('is in an IOMMU group of its own, and no-IOMMU mode stays off', async () => {
      const { node } = await rig.bind('card', 'vfio-pci');
      expect(node).toMatch(/^\/dev\/vfio\/\d+$/);
      expect(await guestShell('cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode')).toBe('N');
      expect(await guestShell(`grep -cE '${REMAPPED_MSI[arch]}' /proc/interrupts`)).not.toBe('0');
    });

    const apps = ['gc-identify', 'gc-memtest', 'gc-reset'];
    const perMode = ['gc-irq', 'gc-loopback', 'gc-crc', 'gc-errors'];
    it.each([...apps, ...['intx', 'msi', 'msix'].flatMap((irq) => perMode.map((app) => `${app} --irq ${irq}`))])(
      '%s passes as it does without an IOMMU',
      async (command) => {
        const { driver, checks } = await runApp(rig, 'card', command.split(' '));
        expect(driver).toBe('vfio-pci');
        expect(checks).toBeGreaterThan(0);
      },
    );

    it('refuses a stray access, and the card says at which address', async () => {
      const report = await runApp(rig, 'card', ['gc-stray']);
      const { stray_address: address } = report as unknown as { stray_address: string };
      expect(report).toMatchObject({
        iommu: 'yes',
        stray_write: 'refused',
        stray_write_error: 'BAD_HOST_ADDRESS',
        stray_write_error_address: address,
        stray_read: 'refused',
        stray_read_error_address: address,
      });
      const { read, write } = { read: traceOf(card()).dma('read'), write: traceOf(card()).dma('write') };
      expect([read.errors > 0, write.errors > 0]).toEqual([true, true]);
    });

    it('moves data through 10,000 mappings of a page each, and is refused what was unmapped', async () => {
      const report = await runApp(rig, 'card', ['gc-maps', '--count', '10000']);
      expect(report).toMatchObject({ maps: 10_000, failed: 0 });
      expect(report.bytes).toBeGreaterThanOrEqual(2 * 10_000 * 4096);
    });

    it('has no mappings when the program has ended, even by a signal', async () => {
      const firstBuffer = 16 << 20; // where the library begins
      const isMapped = () => traceOf(card()).hostMemory(firstBuffer, 4) !== undefined;
      const device = await rig.guest.pciAddressOf('card');
      const running = rig.guest.run(['gc-irq', '--count', '100000000', '--device', device]);
      const waiting =
        'tries=0; until grep -q vfio-msix /proc/interrupts; do tries=$((tries + 1)); [ $tries -lt 500 ] || exit; done';
      await guestShell(waiting);
      expect(isMapped()).toBe(true);
      await guestShell('kill -9 $(pidof gc-irq)');
      expect(await running).toMatchObject({ signal: 'SIGKILL' });
      expect(isMapped()).toBe(false);
      await runApp(rig, 'card', ['gc-loopback']);
      expect(isMapped()).toBe(false);
    });
  });

  it('a card that is plugged in later is behind the IOMMU too', async () => {
    const { node } = await rig.plug({ name: 'later', make: reference(), driver: 'vfio-pci' });
    expect(node).toMatch(/^\/dev\/vfio\/\d+$/);
    await runApp(rig, 'later', ['gc-loopback']);
    expect(await runApp(rig, 'later', ['gc-stray'])).toMatchObject({ stray_write: 'refused' });
    await rig.unplug('later');
  });

  it('a driver that cannot map memory in the IOMMU has registers, and an error that says why there is no DMA', async () => {
    await rig.bind('card', 'uio_pci_generic');
    const device = await rig.guest.pciAddressOf('card');
    expect(await guestShell(`gc-reg 0x0c=0x1234 0x0c --device ${device}`)).toContain('0x00001234');
    const { exitCode, stderr } = await rig.guest.run(['gc-stray', '--device', device]);
    expect(exitCode).toBe(2);
    expect(stderr.toString()).toContain(`${device} is behind an IOMMU (type DMA`);
    expect(stderr.toString()).toContain('bind the card to vfio-pci, or start the guest without --iommu');
  });

  it('makes no platform devices of a card, since those cannot use the IOMMU: the message says what to do', async () => {
    await expect(rig.bind('card', 'uio_pdrv_genirq')).rejects.toThrow(
      /the card is behind an IOMMU, which its platform devices cannot use: start the guest without one/,
    );
  });

  const card = (): ReferenceCard => rig.card<ReferenceCard>('card');
});

const PASSTHROUGH = { amd64: 'iommu=pt', arm64: 'iommu.passthrough=1' } as const;

it.each(GUEST_ARCHES)('an IOMMU that passes addresses through (%s) changes nothing', async (arch) => {
  await using rig = await startRig({ arch, iommu: true, kernelAppend: PASSTHROUGH[arch] });
  await rig.bind('card', 'uio_pci_generic');
  await runApp(rig, 'card', ['gc-loopback']);
  expect(await runApp(rig, 'card', ['gc-stray'])).toMatchObject({ iommu: 'no', stray_write: 'changed' });
});
