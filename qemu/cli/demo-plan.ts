/** What `npm start` does: which apps run under which driver. The apps are in guest-tools/apps. */
export interface DemoStep {
  /** What a reader should know it shows. */
  readonly shows: string;
  readonly argv: readonly string[];
}

const common: readonly DemoStep[] = [
  { shows: 'registers name the card and its channels', argv: ['gc-identify'] },
  { shows: 'card memory through the BAR', argv: ['gc-memtest'] },
];

/** In this order; the card is bound to each driver in turn, in the same guest. */
export const demoPlan: readonly { readonly driver: string; readonly steps: readonly DemoStep[] }[] = [
  {
    driver: 'uio_pci_generic',
    steps: [
      ...common,
      { shows: 'INTx, counted', argv: ['gc-irq', '--irq', 'intx'] },
      { shows: 'DMA both ways, verified', argv: ['gc-loopback', '--irq', 'intx'] },
      { shows: 'the card computes CRC-32C', argv: ['gc-crc', '--irq', 'intx'] },
      { shows: 'bad descriptors are reported', argv: ['gc-errors', '--irq', 'intx'] },
      { shows: 'function reset', argv: ['gc-reset', '--irq', 'intx'] },
    ],
  },
  {
    driver: 'vfio-pci',
    steps: [
      ...common,
      { shows: 'INTx, counted', argv: ['gc-irq', '--irq', 'intx'] },
      { shows: 'MSI, counted', argv: ['gc-irq', '--irq', 'msi'] },
      { shows: 'MSI-X, counted', argv: ['gc-irq', '--irq', 'msix'] },
      { shows: 'DMA both ways, verified', argv: ['gc-loopback', '--irq', 'msix'] },
      { shows: 'the card computes CRC-32C', argv: ['gc-crc', '--irq', 'msix'] },
      { shows: 'bad descriptors are reported', argv: ['gc-errors', '--irq', 'msix'] },
      { shows: 'function reset', argv: ['gc-reset', '--irq', 'msix'] },
    ],
  },
];
