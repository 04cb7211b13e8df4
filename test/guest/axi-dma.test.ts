/** The AXI DMA card under a driver in user space (guest-tools/apps/gc-axi-dma.c), as a platform device and as a function. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CardEnvironment } from '../../emulator/pci';
import { AxiDmaCard, type AxiDmaCardOptions } from '../../emulator/cards/axi-dma';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

const cards: Record<string, AxiDmaCardOptions> = {
  coherent: {},
  synchronised: { coherent: false },
  slow: { addressBits: 40, link: { bytesPerSecond: 100e6, completionLatencyNs: 100e3 } },
};

describe.each(GUEST_ARCHES)('in a guest of %s, an AXI DMA card', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      arch,
      cards: Object.entries(cards).map(([name, options]) => ({
        name,
        make: (environment: CardEnvironment) => new AxiDmaCard({ ...options, ...environment }),
      })),
    });
  });
  afterAll(() => rig?.close());

  it.each([
    ['coherent', 'uio_dmem_genirq', 'line'],
    ['synchronised', 'uio_dmem_genirq', 'line'],
    ['slow', 'uio_dmem_genirq', 'line'],
    ['coherent', 'vfio-platform', 'line'],
    ['coherent', 'uio_pdrv_genirq', 'line'],
    ['coherent', 'vfio-pci', 'intx'],
  ])('(%s) loops packets back, and survives an error, through %s', async (card, driver, irq) => {
    await rig.bind(card, driver);
    const sync = cards[card]?.coherent === false ? ['--sync'] : [];
    const report = await runApp(rig, card, ['gc-axi-dma', '--irq', irq, ...sync]);
    expect(report).toMatchObject({ driver, irq_mode: irq });
    expect(report.interrupts).toBeGreaterThanOrEqual(7);
    const { neverSynchronised = 0, stale = 0 } = rig.card<AxiDmaCard>(card).coherence?.counts ?? {};
    expect([neverSynchronised, stale]).toEqual([0, 0]);
  });
});
