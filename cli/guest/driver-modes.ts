/** The ways for a driver in user space to drive a card (docs/drivers.md), and what `ghostcard demo` runs in each. */
export interface DriverMode {
  readonly name: string;
  /** The kernel driver below it. */
  readonly driver: string;
  /** Whether the guest has an IOMMU in front of the card. */
  readonly iommu: boolean;
  /** How interrupts can arrive: values of `--irq` of the programs in guest-tools. */
  readonly interrupts: readonly string[];
}

export const DRIVER_MODES: readonly DriverMode[] = [
  { name: 'uio_pci_generic', driver: 'uio_pci_generic', iommu: false, interrupts: ['intx'] },
  { name: 'vfio-pci, no IOMMU', driver: 'vfio-pci', iommu: false, interrupts: ['intx', 'msi', 'msix'] },
  { name: 'vfio-pci, IOMMU', driver: 'vfio-pci', iommu: true, interrupts: ['intx', 'msi', 'msix'] },
  { name: 'uio_pdrv_genirq', driver: 'uio_pdrv_genirq', iommu: false, interrupts: ['line'] },
  { name: 'uio_dmem_genirq', driver: 'uio_dmem_genirq', iommu: false, interrupts: ['line'] },
  { name: 'vfio-platform, no IOMMU', driver: 'vfio-platform', iommu: false, interrupts: ['line'] },
];

/** A program of guest-tools/apps that the demo runs. */
export interface DemoStep {
  /** For readers. */
  readonly shows: string;
  readonly argv: readonly string[];
}

const INTERRUPTS: Readonly<Record<string, string>> = {
  intx: 'INTx',
  msi: 'MSI',
  msix: 'MSI-X',
  line: 'interrupt line',
};

/** In this order. What moves data uses the mode's best interrupt, its last. */
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
