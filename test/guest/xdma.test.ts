/** The XDMA card under a driver in user space (guest-tools/apps/gc-xdma.c), through each kernel driver. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CardEnvironment } from '../../emulator/pci';
import { XdmaCard, type XdmaCardOptions } from '../../emulator/cards/xdma';
import { registerMap } from '../../emulator/registers';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

const DESIGN = registerMap({ LINES: { offset: 0, access: 'rw', doc: 'Drives usr_irq_req.' } });

function withDesign(options: XdmaCardOptions) {
  const card = new XdmaCard({ ...options, user: DESIGN });
  card.user.onWrite('LINES', ({ value }) => {
    for (let line = 0; line < 16; line++) card.setUserInterrupt(line, ((value >>> line) & 1) === 1);
  });
  return card;
}

const cards: Record<string, XdmaCardOptions> = {
  memory: { h2cChannels: 2, c2hChannels: 2 },
  stream: { streaming: true },
  narrow: { streaming: true, msix: false, barBits: 64, link: { completionLatencyNs: 20e6 } },
};

describe.each(GUEST_ARCHES)('in a guest of %s, an XDMA card', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      arch,
      cards: Object.entries(cards).map(([name, options]) => ({
        name,
        make: (environment: CardEnvironment) =>
          options.barBits ? new XdmaCard({ ...options, ...environment }) : withDesign({ ...options, ...environment }),
      })),
    });
  });
  afterAll(() => rig?.close());

  it.each([
    ['memory', 'uio_pci_generic', 'intx'],
    ['memory', 'vfio-pci', 'msix'],
    ['memory', 'vfio-pci', 'msi'],
    ['stream', 'uio_pci_generic', 'intx'],
    ['stream', 'vfio-pci', 'msix'],
    ['narrow', 'vfio-pci', 'msi'],
  ])('(%s) moves all bytes and gets all interrupts through %s, %s', async (card, driver, irq) => {
    await rig.bind(card, driver);
    const report = await runApp(rig, card, ['gc-xdma', '--irq', irq]);
    expect(report).toMatchObject({ driver, irq_mode: irq });
    expect(report.interrupts).toBe(card === 'memory' ? 2 * 3 + 3 : card === 'stream' ? 2 + 3 : 2);
    expect(report.bytes).toBeGreaterThan(10_000);
  });
});
