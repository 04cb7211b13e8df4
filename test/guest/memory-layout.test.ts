/** Memory layouts: mistakes of a driver that pass in a guest whose memory flatters, and fail where it does not. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MemoryLayout } from '../../qemu/launch';
import { GUEST_ARCHES, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { installProgram, reference, runApp, startRig } from '../support/rig';

const BOUNDARY = 2 ** 32;
const FINE = 'the card has got 0x11 and 0x11';

/** What a layout shows in every run. In the others it is luck: kernels hand out memory in different orders. */
const MISTAKES: Readonly<Record<MemoryLayout, readonly string[]>> = {
  flat: [],
  high: ['truncated'],
  fragmented: ['contiguous', 'pages'],
};

/** The program is compiled for the host. */
describe.runIf(hostArch() === 'amd64')('a driver in C', () => {
  describe.each<[MemoryLayout, 'warm' | 'cold']>([
    ['flat', 'warm'],
    ['high', 'warm'],
    ['fragmented', 'warm'],
    ['fragmented', 'cold'],
  ])('in a guest whose memory is %s, from a %s start', (memoryLayout, start) => {
    let rig: Rig;
    let program: string;
    beforeAll(async () => {
      const cards = [{ name: 'card', make: reference(), driver: 'vfio-pci' }];
      rig = await startRig({ memoryLayout, start, cards });
      program = await installProgram(rig, join(__dirname, 'lucky-driver.c'), ['lib', 'driver']);
    });
    afterAll(() => rig?.close());

    const runWith = async (mistake: string): Promise<string> => {
      const result = await rig.guest.run([program, await rig.guest.pciAddressOf('card'), mistake]);
      return `${String(result.stdout)}${String(result.stderr)}`;
    };

    it('moves its data when it makes no mistake', async () => {
      expect(await runWith('none')).toContain(FINE);
    });

    it('gets memory where the layout says', async () => {
      const output = await runWith('none');
      const addresses = [...output.matchAll(/(?:lowest|buffer|ring) (0x\w+)/g)].map(([, address]) => Number(address));
      expect(addresses).toHaveLength(3);
      if (memoryLayout === 'high') expect(Math.min(...addresses)).toBeGreaterThanOrEqual(BOUNDARY);
      else expect(Math.max(...addresses)).toBeLessThan(BOUNDARY);
      const [, adjacent] = /user pages: (\d+) of 1024/.exec(output) ?? [];
      if (memoryLayout === 'fragmented') expect(Number(adjacent)).toBe(0);
      else expect(Number(adjacent)).toBeGreaterThan(512);
    });

    it.each(MISTAKES[memoryLayout])('shows the mistake %s', async (mistake) => {
      expect(await runWith(mistake)).not.toContain(FINE);
    });

    it.each(memoryLayout === 'flat' ? ['truncated'] : [])('does not show the mistake %s', async (mistake) => {
      expect(await runWith(mistake)).toContain(FINE);
    });
  });
});

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  it.each<MemoryLayout>(['high', 'fragmented'])(
    'the programs of the reference card pass with %s memory',
    async (memoryLayout) => {
      await using rig = await startRig({ arch, memoryLayout });
      for (const driver of ['vfio-pci', 'uio_pci_generic', 'uio_dmem_genirq']) {
        await rig.bind('card', driver);
        await runApp(rig, 'card', ['gc-loopback']);
      }
    },
  );
});
