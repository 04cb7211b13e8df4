import { type HeldReason } from './irq-index';

/** What MSI and MSI-X query of their function, and report to it. */
export interface MessageWiring {
  /** A message is a memory write: Bus Master Enable and power state D0 (PCI Express Base Spec 5.0, 7.5.1.1.3). */
  readonly mayWriteMemory: () => boolean;
  /** The enable or function mask has been written: blocked interrupts may have to be sent, as messages or as INTx. */
  readonly modeChanged: () => void;
  /** A message of this vector of an interrupt index has been raised and cannot be sent now. */
  readonly held: (index: number, vector: number, reason: HeldReason) => void;
}
