/**
 * Differences between the machines of guests of different architectures.
 *
 * Sources: QEMU's docs/system/i386/pc.rst, docs/system/arm/virt.rst, docs/system/devices/virtio/virtio-mem.rst; Linux
 * Documentation/admin-guide/kernel-parameters.txt (console, pci, intel_iommu, sysctl).
 */
import { type GuestArch } from '../provision';

/** The machine's IOMMU, and the kernel arguments that enable it. */
interface Iommu {
  readonly device: Readonly<Record<string, unknown>>;
  readonly kernelArguments: readonly string[];
  /** KVM option that leaves interrupt handling to QEMU, so that it can remap interrupts. */
  readonly kvmOption?: string;
}

export interface MachineFacts {
  readonly machine: { readonly tcg: string; readonly kvm: string };
  /** The CPU model under TCG. */
  readonly cpu: string;
  readonly kernelArguments: readonly string[];
  /** Whether the kernel reserves address space for cards that are plugged in later, not firmware. */
  readonly kernelReserves?: boolean;
  /** Defaults of QEMU's devices that are changed, as `-global` takes them. */
  readonly globals?: readonly string[];
  readonly iommu: Iommu;
  /** Address of configuration space of bus 0, device 0, function 0 (enhanced configuration access mechanism). */
  readonly configurationSpace: number;
  /** How part of the memory comes to lie above 4 GiB. 'split': the machine has it there. 'plugged': a device brings it. */
  readonly highMemory: 'split' | 'plugged';
}

/** Address space reserved for the 32-bit or non-prefetchable BARs of a card that is plugged in later. */
export const MEMORY_WINDOW_MIB = 32;

/**
 * Address space above 4 GiB for all slots together: SeaBIOS and the `virt` machine have 512 GiB, and windows must begin at
 * multiples of their alignment (SeaBIOS src/fw/pciinit.c, QEMU hw/arm/virt.c).
 */
const PREFETCHABLE_GIB = 384;
/** A slot never gets more than this part of it. */
const FEWEST_SLOTS = 8;

/** As MEMORY_WINDOW_MIB, for 64-bit prefetchable BARs: a power of two. */
export const prefetchableWindowGiB = (slots: number): number =>
  2 ** Math.floor(Math.log2(PREFETCHABLE_GIB / Math.max(slots, FEWEST_SLOTS)));

/**
 * Bytes of 64-bit prefetchable BARs that a card can have for sure, wherever its window begins. 'warm': plugged into a
 * running guest. 'cold': there when the guest boots, which then makes room for it.
 */
export const prefetchableRoomBytes = (slots: number, start: 'warm' | 'cold'): number =>
  (start === 'warm' ? prefetchableWindowGiB(slots) / 2 : PREFETCHABLE_GIB / 6) * 2 ** 30;

/**
 * A processor of x86-64-v3, which distributions build for by now, without what TCG does not have anyway and would warn of.
 * (It has no AVX-512.) It is none of Intel's, for which the kernel would isolate page tables against Meltdown, so that each
 * system call empties TCG's translation buffer; and not `max`, whose five-level page tables TCG walks level by level.
 */
const X86_64_V3 = [
  'EPYC-v4',
  ...['fxsr-opt', 'misalignsse', 'osvw', 'topoext', 'perfctr-core', 'clzero', 'ibpb', 'nrip-save', 'xsavec', 'xsaves'],
].join(',-');

/** Where memory is that does not fit below, or is not to be there. */
export const FOUR_GIB = 2 ** 32;

/**
 * RAM of a guest by physical address, in the order of its file (QEMU hw/i386/pc_q35.c: the hole for PCI begins at 2 or at
 * 2.75 GiB, or at `max-ram-below-4g`; hw/arm/virt.c). `highMiB`: so much of it lies above 4 GiB by request.
 */
export function ramRanges(
  arch: GuestArch,
  memoryMiB: number,
  highMiB: number,
): { address: number; sizeBytes: number }[] {
  const sizeBytes = memoryMiB * 2 ** 20;
  const wanted = sizeBytes - highMiB * 2 ** 20;
  const low =
    arch === 'arm64' || highMiB > 0 ? wanted : Math.min(sizeBytes, sizeBytes < 0xb000_0000 ? 0xb000_0000 : 0x8000_0000);
  const ranges = [
    { address: arch === 'arm64' ? 2 ** 30 : 0, sizeBytes: low },
    { address: FOUR_GIB, sizeBytes: sizeBytes - low },
  ];
  return ranges.filter((range) => range.sizeBytes > 0);
}

export const MACHINES: Record<GuestArch, MachineFacts> = {
  amd64: {
    machine: { tcg: 'q35,vmport=off,smm=off', kvm: 'q35,vmport=off,smm=off' },
    cpu: X86_64_V3,
    // no_timer_check: at boot the kernel expects 5 timer interrupts in 40 ms, measured by the time stamp counter, which
    // goes on while the host runs something else. Behind an interrupt remapper it panics if they are fewer ("timer
    // doesn't work through Interrupt-remapped IO-APIC"). It skips the check by itself on KVM.
    // mitigations=off: what they cost protects nobody here, and the kernel warns of a processor without their microcode.
    kernelArguments: ['console=ttyS0', 'no_timer_check', 'mitigations=off'],
    // The root ports drive their slots themselves, as on arm64. While ACPI does, QEMU takes their hot-plug capability
    // and never reports the link to a card that is plugged in as active, so that the kernel cannot reset the bus.
    globals: ['ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'],
    // caching-mode: the guest notifies QEMU of every mapping, and QEMU passes it on to the card's process. Interrupt
    // remapping is on by default; VFIO does not trust an IOMMU without it.
    iommu: {
      device: { 'driver': 'intel-iommu', 'caching-mode': true },
      kernelArguments: ['intel_iommu=on'],
      kvmOption: 'kernel-irqchip=split',
    },
    configurationSpace: 0xb000_0000, // SeaBIOS src/hw/dev-q35.h
    highMemory: 'split',
  },
  // No firmware: QEMU starts the kernel directly, and the kernel itself reserves address space for cards that are
  // plugged in later.
  arm64: {
    machine: { tcg: 'virt,gic-version=3', kvm: 'virt,gic-version=host' },
    cpu: 'cortex-a72',
    kernelArguments: [
      'console=ttyAMA0',
      'sysctl.debug.exception-trace=1', // amd64 logs why a program was killed without this
    ],
    kernelReserves: true,
    // QEMU's SMMU for this machine does not report mappings to devices.
    iommu: { device: { driver: 'virtio-iommu-pci', bus: 'pcie.0', addr: '0x1f' }, kernelArguments: [] },
    // Its memory is one piece from 1 GiB on.
    configurationSpace: 0x40_1000_0000, // hw/arm/virt.c, VIRT_HIGH_PCIE_ECAM
    highMemory: 'plugged',
  },
};
