/** What the pages of a guest are used for, and notices of DMA into those that are not a driver's. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PageUse } from '../../instrumentation/checks';
import { type CardNotice } from '../../instrumentation/trace';
import { GUEST_ARCHES, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { GuestPages } from '../../qemu/rig/guest-pages';
import { readPageLayout } from '../../qemu/rig/page-layout';
import { installProgram, reference, runApp, startRig } from '../support/rig';

const PAGE_KIB = 4;

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  it("what is told of its pages agrees with the kernel's own counts", async () => {
    await using rig = await startRig({ arch });
    const layout = (await readPageLayout(rig.guest))!;
    const pages = new GuestPages(layout, rig.card('card').inspection, () => true);
    const counts = new Map<PageUse | undefined, number>();
    const { stdout } = await rig.guest.run(['cat', '/proc/meminfo']);
    for (const { first, count } of layout.runs) {
      for (let page = first; page < first + count; page++) {
        const use = pages.useOf(page * PAGE_KIB * 1024);
        counts.set(use, (counts.get(use) ?? 0) + 1);
      }
    }
    const told = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(stdout.toString())![1]) / PAGE_KIB;
    const free = told('MemFree') + told('Hugetlb');
    // The guest works on while it is looked at.
    expect(counts.get('free')! / free).toBeGreaterThan(0.9);
    expect(counts.get('free')! / free).toBeLessThan(1.1);
    expect(counts.get('page table')! / told('PageTables')).toBeGreaterThan(0.5);
    expect(counts.get('slab')! / told('Slab')).toBeGreaterThan(0.7);
    expect(counts.get('slab')! / told('Slab')).toBeLessThan(1.2);
    expect(counts.get('kernel code')! * PAGE_KIB).toBeGreaterThan(8 << 10);
  });

  it('the programs of the reference card give no notice', async () => {
    const notices: string[] = [];
    await using rig = await startRig({ arch, onNotice: (_, { text }) => notices.push(text) });
    for (const driver of ['vfio-pci', 'uio_pci_generic', 'uio_dmem_genirq', 'uio_pdrv_genirq', 'vfio-platform']) {
      await rig.bind('card', driver);
      for (const app of ['gc-loopback', 'gc-crc', 'gc-survive']) await runApp(rig, 'card', [app]);
    }
    expect(notices).toEqual([]);
  });
});

/** The program is compiled for the host. */
describe.runIf(hostArch() === 'amd64')('a driver in C', () => {
  let rig: Rig;
  let program: string;
  const notices: CardNotice[] = [];
  beforeAll(async () => {
    // Only then it is known who has written to a page.
    rig = await startRig({ cards: [], checkDma: true, onNotice: (_, notice) => notices.push(notice) });
    program = await installProgram(rig, join(__dirname, 'lucky-driver.c'), ['lib', 'driver']);
  });
  afterAll(() => rig?.close());

  it.each<[string, RegExp]>([
    [
      'freed',
      /^H2C0 reads 4096 bytes at 0x\w+ \(data\) in memory that is free: it was in use when the card accessed it before/,
    ],
    ['freed-pages', /^H2C0 reads 4096 bytes at 0x\w+ \(data\) in memory that is free: it has been given back before/],
    [
      'process',
      /^H2C0 reads 4096 bytes at 0x\w+ \(data\) in memory of another process \(process \d+\): the address is/,
    ],
    [
      'file',
      /^H2C0 reads 4096 bytes at 0x\w+ \(data\) in the page cache, of a file that nobody has mapped: the address/,
    ],
    ['unset', /^H2C0 reads 4096 bytes at 0x0 \(data\) in memory of the firmware: the address is wrong, or was never/],
  ])('that makes the mistake %s gets a notice of it', async (mistake, text) => {
    await rig.plug({ name: mistake, make: reference(), driver: 'vfio-pci' });
    const result = await rig.guest.run([program, await rig.guest.pciAddressOf(mistake), mistake]);
    expect(result.exitCode, result.stderr.toString()).toBe(0);
    await rig.settled();
    const strays = notices.splice(0).filter(({ kind }) => kind === 'stray-dma');
    expect(strays).toEqual([{ kind: 'stray-dma', text: expect.stringMatching(text) as unknown }]);
  });
});
