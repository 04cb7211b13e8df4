/**
 * DMA masks in a guest with memory above 4 GiB: a card reports addresses that it cannot reach, and never accesses others in
 * their place. docs/coherence.md is about this too.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { describeTrace, isDma, traceOf } from '../../instrumentation/trace';
import { type GuestArch, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { closesWithoutBuffers, installProgram, reference, runApp, startRig } from '../support/rig';

const BOUNDARY = 2 ** 32;

/**
 * Guests with memory above 4 GiB, and more hugepages than fit there: the last ones are below. They take memory of the host
 * when they are used. On arm64 memory begins at 1 GiB, so there is none below 30 bits.
 */
const GUESTS = [
  { arch: 'amd64', memoryMiB: 4352, hugepages: 1150, memoryStart: 0 },
  { arch: 'arm64', memoryMiB: 4352, hugepages: 700, memoryStart: 2 ** 30 },
] as const;

describe.each(GUESTS)('in a guest of $arch with $memoryMiB MiB', ({ arch, memoryMiB, hugepages, memoryStart }) => {
  let rig: Rig;
  beforeAll(async () => {
    const cards = [64, 32, 28, 24].map((addressBits) => ({
      name: `bits${addressBits}`,
      make: reference({ addressBits }),
    }));
    rig = await startRig({ arch, memoryMiB, hugepages, cards });
  });
  afterAll(() => rig?.close());

  describe.each(['uio_pci_generic', 'vfio-pci'])('bound to %s', (driver) => {
    it('a card with 64 address bits reaches memory below and above 4 GiB', async () => {
      await rig.bind('bits64', driver);
      const report = await runApp(rig, 'bits64', ['gc-mask']);
      expect(report).toMatchObject({ address_bits: 64, failed: 0, bytes: 4 * 65_536 });
      expectBothSides(report);
    });

    it('a card with 32 address bits reports memory above 4 GiB as an address error, and works below', async () => {
      await rig.bind('bits32', driver);
      const report = await runApp(rig, 'bits32', ['gc-mask']);
      expect(report).toMatchObject({ address_bits: 32, failed: 0, checks: 6, bytes: 6 * 65_536 });
      expectBothSides(report);
    });

    it('a card with 24 address bits, for which there are no hugepages, has an error of its own', async () => {
      const { pciAddress } = await rig.bind('bits24', driver);
      const { exitCode, stderr } = await rig.guest.run(['gc-mask', '--device', pciAddress]);
      expect(stderr.toString()).toMatch(/is at 0x\w+, and none is left up to 0xffffff, .* reserve enough hugepages/);
      expect(exitCode).toBe(2);
    });
  });

  it('the card with 32 address bits has accessed nothing above 4 GiB', () => {
    const trace = traceOf(rig.card<ReferenceCard>('bits32'));
    const dma = [...trace.newestFirst()].filter(isDma);
    expect(dma.length).toBeGreaterThan(0);
    expect(dma.filter(({ iova, sizeBytes }) => iova + sizeBytes > BOUNDARY)).toEqual([]);
  });

  it.each(
    [
      { card: 'bits64', limit: BOUNDARY },
      { card: 'bits32', limit: BOUNDARY },
      { card: 'bits28', limit: 2 ** 28 },
      { card: 'bits24', limit: 2 ** 24 },
    ].filter(({ limit }) => limit > memoryStart),
  )('uio_dmem_genirq has the kernel allocate for $card below $limit', async ({ card, limit }) => {
    await rig.bind(card, 'uio_dmem_genirq');
    const report = await runApp(rig, card, ['gc-mask']);
    expect(report).toMatchObject({ failed: 0, bytes: 2 * 65_536 });
    expect((report as object as { kernel: number }).kernel).toBeLessThan(limit);
  });
});

it.each([28, 24])('uio_dmem_genirq has no memory for %i address bits in a guest of arm64', async (addressBits) => {
  const cards = [{ name: 'card', make: reference({ addressBits }), driver: 'uio_dmem_genirq' }];
  await using rig = await startRig({ arch: 'arm64', cards });
  const running = rig.guest.run(['gc-mask', '--device', await rig.guest.pciAddressOf('card')]);
  if (closesWithoutBuffers('arm64')) {
    const { exitCode, stderr } = await running;
    expect(stderr.toString()).toContain('the kernel had no memory for DMA buffer map2 of ghostcard-ref');
    expect(exitCode).toBe(2);
  } else {
    await expect(running).rejects.toThrow('uio_dmem_genirq_release');
  }
});

/** The program is compiled for the host; on arm64 few pages have another one 4 GiB below. */
const LIARS: readonly GuestArch[] = hostArch() === 'amd64' ? ['amd64'] : [];
describe.each(LIARS)('in a guest of %s with memory above 4 GiB, a card that lies', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    const cards = [
      { name: 'wraps', make: reference({ wrapsAtBits: 32 }), driver: 'vfio-pci' },
      { name: 'short', make: reference({ lengthBits: 14 }), driver: 'vfio-pci' },
    ];
    rig = await startRig({ arch, memoryMiB: 4352, hugepages: 1150, cards });
  });
  afterAll(() => rig?.close());

  it('about its address bits sends other memory, and overwrites it, which only its DMA in the trace shows', async () => {
    const program = await installProgram(rig, join(__dirname, 'trusting-driver.c'), ['lib', 'driver']);
    const result = await rig.guest.run([program, await rig.guest.pciAddressOf('wraps')]);
    const output = `${String(result.stdout)}${String(result.stderr)}`;
    const [, buffer = '', ring = ''] = /^64 address bits, buffer 0x1(\w{8}), ring (0x\w+)$/m.exec(output) ?? [];
    expect(output).toMatch(/\nsent 0x11, the card has 0x22\nreceived 0x11, and 4 GiB below 0x22\n$/);
    expect(Number(ring)).toBeLessThan(BOUNDARY);
    const address = Number(`0x${buffer}`).toString(16);
    const lines = describeTrace(traceOf(rig.card('wraps')), { withoutConfig: true }).map((line) =>
      line.replace(/^.* us {2}/, ''),
    );
    expect(lines).toContain(`DMA reads 65536 bytes at 0x${address} (H2C0, data)`);
    expect(lines).toContain(`DMA writes 65536 bytes at 0x${address} (C2H0, data)`);
  });

  it('about its length moves too little, which the driver of the reference card finds in TRANSFERRED', async () => {
    const device = await rig.guest.pciAddressOf('short');
    const { exitCode, stdout } = await rig.guest.run(['gc-loopback', '--device', device, '--max-size', '65536']);
    expect(exitCode).toBe(1);
    expect(String(stdout)).toContain('H2C0: TRANSFERRED differs from LENGTH');
  });
});

function expectBothSides(report: object): void {
  const { low, high } = report as { low: number; high: number };
  expect(low).toBeLessThan(BOUNDARY);
  expect(high).toBeGreaterThanOrEqual(BOUNDARY);
}
