/**
 * DMA masks in a guest with memory above 4 GiB: what a card cannot reach it reports, and never some other memory in its
 * place. docs/coherence.md is about this too.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceOf } from '../../emulator';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

const BOUNDARY = 2 ** 32;
/** Memory above 4 GiB, and more hugepages than fit there: the last ones lie below. Pages take memory of the host when used. */
const guest = { memoryMiB: 4352, hugepages: 1150 };

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    ...guest,
    cards: [64, 32, 28, 24].map((addressBits) => ({ name: `bits${addressBits}`, make: reference({ addressBits }) })),
  });
});
afterAll(() => rig?.close());

describe.each(['uio_pci_generic', 'vfio-pci'])('bound to %s', (driver) => {
  it('a card with 64 address bits reaches memory below and above 4 GiB', async () => {
    await rig.bind('bits64', driver);
    const report = await runApp(rig, 'bits64', ['gc-mask']);
    expect(report).toMatchObject({ address_bits: 64, failed: 0, bytes: 4 * 65_536 });
    expectBothSides(report);
  });

  it('a card with 32 reports memory above 4 GiB as an address error, and goes on below', async () => {
    await rig.bind('bits32', driver);
    const report = await runApp(rig, 'bits32', ['gc-mask']);
    expect(report).toMatchObject({ address_bits: 32, failed: 0, checks: 6, bytes: 6 * 65_536 });
    expectBothSides(report);
  });

  it('a card with 24, for which there are no hugepages, is told apart from one that does not work', async () => {
    const { pciAddress } = await rig.bind('bits24', driver);
    const { exitCode, stderr } = await rig.guest.run(['gc-mask', '--device', pciAddress]);
    expect(stderr.toString()).toMatch(/lies at 0x\w+, and the card drives 24 address bits: reserve so many hugepages/);
    expect(exitCode).toBe(2);
  });
});

it.each([
  ['bits64', BOUNDARY],
  ['bits32', BOUNDARY],
  ['bits28', 2 ** 28],
  ['bits24', 2 ** 24],
])('uio_dmem_genirq has the kernel allocate for the card %s below %i', async (name, limit) => {
  await rig.bind(name, 'uio_dmem_genirq');
  const report = (await runApp(rig, name, ['gc-mask'])) as object as { kernel: number };
  expect(report).toMatchObject({ failed: 0, bytes: 2 * 65_536 });
  expect(report.kernel).toBeLessThan(limit);
});

it('every address that the card with 32 bits has been given memory at is below 4 GiB', () => {
  const dma = [...traceOf(rig.card('bits32')).newestFirst()].filter(({ kind }) => kind.startsWith('dma-'));
  expect(dma.length).toBeGreaterThan(0);
  expect(dma.filter(({ address, sizeBytes }) => address + sizeBytes > BOUNDARY)).toEqual([]);
});

function expectBothSides(report: object): void {
  const { low, high } = report as { low: number; high: number };
  expect(low).toBeLessThan(BOUNDARY);
  expect(high).toBeGreaterThanOrEqual(BOUNDARY);
}
