/**
 * What differs between the machines of guests of different architectures.
 *
 * Sources: QEMU's docs/system/i386/pc.rst, docs/system/arm/virt.rst; Linux Documentation/admin-guide/kernel-parameters.txt
 * (console, pci, intel_iommu, sysctl).
 */
import { type GuestArch } from '../provision';

/** The machine's IOMMU, and what its kernel must be told to use it. */
interface Iommu {
  readonly device: Readonly<Record<string, unknown>>;
  readonly kernelArguments: readonly string[];
  /** What KVM must leave to QEMU, so that it remaps interrupts. */
  readonly kvmOption?: string;
}

export interface MachineFacts {
  readonly machine: { readonly tcg: string; readonly kvm: string };
  /** The one that TCG emulates. */
  readonly cpu: string;
  readonly kernelArguments: readonly string[];
  readonly iommu: Iommu;
}

/** Room for a card that is plugged in later: its BARs of 32 bits or not prefetchable, and the others. */
export const MEMORY_WINDOW_MIB = 32;
export const PREFETCHABLE_WINDOW_GIB = 8;

export const MACHINES: Record<GuestArch, MachineFacts> = {
  // qemu64 under TCG: -cpu max brings five-level page tables, which TCG walks step by step.
  amd64: {
    machine: { tcg: 'q35,vmport=off,smm=off', kvm: 'q35,vmport=off,smm=off' },
    cpu: 'qemu64',
    kernelArguments: ['console=ttyS0'],
    // caching-mode: the guest tells of every mapping, which is how the card's process hears of it. Interrupt remapping
    // is there without being asked for: VFIO trusts no IOMMU that has it not.
    iommu: {
      device: { 'driver': 'intel-iommu', 'caching-mode': true },
      kernelArguments: ['intel_iommu=on'],
      kvmOption: 'kernel-irqchip=split',
    },
  },
  // No firmware: the kernel is started directly, and lays out addresses for cards that are plugged in later by itself.
  arm64: {
    machine: { tcg: 'virt,gic-version=3', kvm: 'virt,gic-version=host' },
    cpu: 'cortex-a72',
    kernelArguments: [
      'console=ttyAMA0',
      `pci=hpmmiosize=${MEMORY_WINDOW_MIB}M,hpmmioprefsize=${PREFETCHABLE_WINDOW_GIB}G`,
      'sysctl.debug.exception-trace=1', // amd64 says without being told why it has ended a program
    ],
    // The SMMU that QEMU has for this machine tells nobody of mappings.
    iommu: { device: { driver: 'virtio-iommu-pci', bus: 'pcie.0', addr: '0x1f' }, kernelArguments: [] },
  },
};
