/**
 * INTx is a level: a line that the card takes down is down in the guest, whatever the driver does. QEMU's client leaves it
 * asserted until a BAR is accessed (docs/limits.md), and no driver of these tests accesses one.
 */
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAccess, traceOf } from '../../instrumentation/trace';
import { GUEST_ARCHES, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { LineCard } from '../support/line-card';
import { installProgram, loadLineDriver, startRig } from '../support/rig';

/** Root ports of every fourth slot share a line. */
const NAMES = ['card', 'second', 'third', 'fourth', 'neighbour'] as const;
const ROUNDS = 3;
const CONFIG = 7;
const LIMIT = { timeout: 10_000 };

const GUESTS = GUEST_ARCHES.flatMap((arch) => [false, true].map((iommu) => ({ arch, iommu })));

describe.each(GUESTS)(
  'in a guest of $arch, with an IOMMU: $iommu, a line that the card takes down by itself',
  (guest) => {
    const { arch, iommu } = guest;
    let rig: Rig;
    const notices: string[] = [];
    beforeAll(async () => {
      rig = await startRig({
        ...guest,
        cards: NAMES.map((name) => ({ name, make: (environment) => new LineCard(environment) })),
        onNotice: (_, { text }) => notices.push(text),
      });
    });
    afterAll(() => rig?.close());

    const card = (name: (typeof NAMES)[number] = 'card') => rig.card<LineCard>(name);
    const shell = async (script: string) => {
      const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script]);
      expect(exitCode, String(stderr)).toBe(0);
      return String(stdout).trim();
    };
    const irqOf = (pciAddress: string) => shell(`cat /sys/bus/pci/devices/${pciAddress}/irq`);
    /** How often the interrupt line of this number has interrupted. */
    const taken = async (irq: string) => Number(await shell(`awk '$1 == "${irq}:" { print $2 }' /proc/interrupts`));
    /** Asserts the line until the guest has taken the interrupt. It is down in the guest when this resolves. */
    const pulse = async (irq: string) => {
      const before = await taken(irq);
      card().drive(true);
      await vi.waitFor(async () => expect(await taken(irq)).toBe(before + 1), LIMIT);
      card().drive(false);
      await vi.waitFor(() => expect(card().inspection.interrupts.intx.isStale).toBe(false), LIMIT);
    };
    const enable = (pciAddress: string) =>
      shell(`printf '\\002\\000' | dd of=/sys/bus/pci/devices/${pciAddress}/config bs=1 seek=4 conv=notrunc`);
    const barAccesses = () =>
      [...traceOf(card()).newestFirst()].filter((event) => isAccess(event) && event.region < CONFIG);

    it('interrupts uio_pci_generic once each time (PCIe 6.1.2)', async () => {
      const { pciAddress } = await rig.bind('card', 'uio_pci_generic');
      const irq = await irqOf(pciAddress);
      const before = await taken(irq);
      for (let round = 0; round < ROUNDS; round++) {
        await pulse(irq);
        await enable(pciAddress);
      }
      expect(await taken(irq)).toBe(before + ROUNDS);
      expect(await shell('cat /sys/class/uio/uio0/event')).toBe(String(ROUNDS));
      expect([barAccesses(), notices]).toEqual([[], []]);
    });

    // Platform devices are never behind an IOMMU.
    if (!iommu) {
      it('interrupts uio_pdrv_genirq once each time', async () => {
        const { pciAddress, node } = await rig.bind('card', 'uio_pdrv_genirq');
        const irq = await irqOf(pciAddress);
        const before = await taken(irq);
        for (let round = 0; round < ROUNDS; round++) {
          await pulse(irq);
          await shell(`printf '\\001\\000\\000\\000' >${node}`);
        }
        expect(await taken(irq)).toBe(before + ROUNDS);
      });
    }

    it('interrupts a driver in the kernel once each time', async () => {
      const { pciAddress } = await rig.bind('card', await loadLineDriver(rig, arch));
      const irq = await irqOf(pciAddress);
      const before = await taken(irq);
      for (let round = 0; round < ROUNDS; round++) {
        await pulse(irq);
        await shell(`echo 1 >/sys/bus/pci/devices/${pciAddress}/rearm`);
      }
      expect(await taken(irq)).toBe(before + ROUNDS);
    });

    // The program is compiled for the host.
    const drivers = arch !== hostArch() ? [] : iommu ? ['vfio-pci'] : ['vfio-pci', 'vfio-platform'];
    for (const driver of drivers) {
      it(`interrupts a program on ${driver} once each time`, async () => {
        const { pciAddress, node, platformDevices } = await rig.bind('card', driver);
        const program = await installProgram(rig, join(__dirname, 'sleeping-intx.c'));
        const stdin = new PassThrough();
        let lines = '';
        const env = { GHOSTCARD_DEVICE_NAME: platformDevices?.[0]?.name ?? pciAddress, GHOSTCARD_DEVICE: node };
        const command = await rig.guest.start([program, String(ROUNDS)], {
          ...{ env, stdin },
          onStdout: (chunk) => void (lines += String(chunk)),
        });
        await vi.waitFor(() => expect(lines).toBe('ready\n'), LIMIT);
        const irq = await irqOf(pciAddress);
        const before = await taken(irq);
        for (let round = 0; round < ROUNDS; round++) {
          await pulse(irq);
          // While the program runs: a newer kernel removes a line that nobody uses, with its count.
          expect(await taken(irq)).toBe(before + round + 1);
          stdin.write('\n');
        }
        stdin.end();
        expect((await command.result).exitCode).toBe(0);
        expect(lines).toBe(`ready\n${'1\n'.repeat(ROUNDS)}`);
      });
    }

    it('is no interrupt of another card on the same line, whose driver counts its own only', async () => {
      const { pciAddress } = await rig.bind('card', 'uio_pci_generic');
      const neighbour = await rig.bind('neighbour', 'uio_pci_generic');
      const irq = await irqOf(pciAddress);
      expect(await irqOf(neighbour.pciAddress)).toBe(irq);
      for (let round = 0; round < ROUNDS; round++) {
        await pulse(irq);
        await enable(pciAddress);
      }
      expect((await shell('cat /sys/class/uio/uio*/event')).split('\n')).toEqual([String(ROUNDS), '0']);
    });
  },
);
