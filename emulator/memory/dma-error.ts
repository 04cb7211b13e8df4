/** Why a DMA access did not happen. One class for all paths, so that an engine can turn it into its own error code. */
export type DmaErrorReason =
  | 'unmapped'
  | 'not-readable'
  | 'not-writable'
  | 'bus-master-off'
  | 'beyond-address-bits'
  | 'client-error'
  | 'reset'
  | 'view-full'
  | ('unsupported-request' | 'completer-abort' | 'poisoned' | 'completion-timeout');

/** How a read ends that the completer does not answer as hoped (PCI Express Base Spec 5.0, 2.2.9, 2.7.2, 2.8). */
export const FAILED_COMPLETIONS = [
  'unsupported-request',
  'completer-abort',
  'poisoned',
  'completion-timeout',
] as const satisfies readonly DmaErrorReason[];

const explanations: Record<DmaErrorReason, string> = {
  'unmapped': 'not (wholly) inside memory that the client has mapped for DMA',
  'not-readable': 'inside memory that is mapped write-only',
  'not-writable': 'inside memory that is mapped read-only',
  'bus-master-off': 'refused: Bus Master Enable (PCI command register, bit 2) is 0; the driver must set it before DMA',
  'beyond-address-bits': 'beyond the addresses that this card can drive',
  'client-error': 'refused by the client',
  'view-full': 'more than the view of a card that is not coherent holds',
  'unsupported-request': 'completed with Unsupported Request',
  'completer-abort': 'completed with Completer Abort',
  'poisoned': 'completed with poisoned data',
  'completion-timeout': 'not completed in time',
  'reset': 'aborted: the function was reset while the access was under way',
};

/** A DMA access that did not happen, and why. */
export class DmaError extends Error {
  constructor(
    readonly reason: DmaErrorReason,
    readonly access: 'read' | 'write',
    /** First device-visible address of the access, in bytes. */
    readonly iova: number,
    readonly sizeBytes: number,
    detail?: string,
    /** The first byte that is refused, which may lie behind the first of the access. */
    readonly faultIova = iova,
  ) {
    const where = faultIova === iova ? '' : `, from 0x${faultIova.toString(16)} on`;
    super(`DMA ${access} of ${sizeBytes} bytes at 0x${iova.toString(16)}: ${detail ?? explanations[reason]}${where}`);
    this.name = 'DmaError';
  }
}
