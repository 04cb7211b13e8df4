/** The ways for a driver in user space to get hold of a card: docs/drivers.md. */
export interface DriverMode {
  readonly name: string;
  /** The kernel driver below it. */
  readonly driver: string;
  /** Whether the guest has an IOMMU in front of the card. */
  readonly iommu: boolean;
  /** How interrupts can arrive, as the apps of guest-tools take it for `--irq`. */
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
