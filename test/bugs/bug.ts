/** What a bug of the corpus is: a change of a few lines of a correct driver, and what is known about it. */
import { type FaultDeclaration } from '../../instrumentation/faults';
import { type GuestArch } from '../../qemu/provision';

export type BugKind = 'race' | 'lifetime' | 'barrier' | 'address' | 'interrupt' | 'ring' | 'error handling';
export type DriverName = 'user' | 'module';
/** How a driver in user space reaches the card. The kernel module drives it itself. */
export type Way = 'vfio-pci' | 'uio_pci_generic' | 'module';

/** Sources of several bugs. */
export const BARRIERS = 'Linux Documentation/memory-barriers.txt, "Kernel I/O barrier effects", dma_wmb and dma_rmb';
export const DMA_API = 'Linux Documentation/core-api/dma-api-howto.rst';
export const PCI_RST = 'Linux Documentation/PCI/pci.rst';

export interface Bug {
  /** Also the name of the variant's folder. */
  readonly name: string;
  readonly driver: DriverName;
  readonly kind: BugKind;
  /** One sentence. */
  readonly what: string;
  /** Where such a bug is described: a document, or a class of public reports. */
  readonly source: string;
  /** Each `from` is once in the correct driver, and becomes `to`. Both are whole lines, without the indentation of the first. */
  readonly change: readonly (readonly [from: string, to: string])[];
  /** In the line of the variant that a report should name: the first one with this text, from the change on. */
  readonly line: string;
  /** Default: amd64. */
  readonly arches?: readonly GuestArch[];
  /** Default: vfio-pci, or the kernel module. */
  readonly ways?: readonly Way[];
  /** What the card must do for the bug to matter. */
  readonly fault?: BugFault;
  /** A notice or a finding that matches says what the mistake is. Others only say that something is wrong. */
  readonly named?: RegExp;
  /** The driver that had the card before, and has left it as it is: a bug by its name, or the correct driver. */
  readonly after?: string;
}

export interface BugFault {
  readonly declarations: readonly FaultDeclaration[];
  /** What the correct driver causes when this fault is injected: no sign of a bug. */
  readonly expected?: RegExp;
}
