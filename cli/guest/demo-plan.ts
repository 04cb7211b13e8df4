/** What `npm start` shows, in every driver mode. The apps are in guest-tools/apps. */
import { type DriverMode } from './driver-modes';

export interface DemoStep {
  /** What a reader should know it shows. */
  readonly shows: string;
  readonly argv: readonly string[];
}

const INTERRUPTS: Readonly<Record<string, string>> = {
  intx: 'INTx',
  msi: 'MSI',
  msix: 'MSI-X',
  line: 'interrupt line',
};

/** In this order. What moves data takes the mode's best interrupt, its last. */
export function demoSteps({ interrupts }: DriverMode): readonly DemoStep[] {
  const best = ['--irq', interrupts.at(-1)!];
  return [
    { shows: 'registers name the card and its channels', argv: ['gc-identify'] },
    { shows: 'card memory through its window', argv: ['gc-memtest'] },
    ...interrupts.map((irq) => ({ shows: `${INTERRUPTS[irq]}, counted`, argv: ['gc-irq', '--irq', irq] })),
    { shows: 'DMA both ways, verified', argv: ['gc-loopback', ...best] },
    { shows: 'the card computes CRC-32C', argv: ['gc-crc', ...best] },
    { shows: 'bad descriptors are reported', argv: ['gc-errors', ...best] },
    { shows: 'resets', argv: ['gc-reset', ...best] },
    { shows: 'a DMA that goes astray', argv: ['gc-stray', ...best] },
  ];
}
