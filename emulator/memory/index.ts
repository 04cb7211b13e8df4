export { AddressMap, AddressMapError, type MappedRange } from './address-map';
export { type DmaBacking, type DmaMapping, type RemoteMemory } from './backing';
export { LINE_BYTES, POISON, type ViewCounts } from './device-view';
export { Completion, PendingCompletion } from './completion';
export { DmaAccess } from './dma-access';
export { DmaError, type DmaErrorReason, FAILED_COMPLETIONS } from './dma-error';
export { type DmaInitiator, DmaPath, type DmaPort, type DmaRole, type DmaStage, StageChain } from './dma-path';
export { bytesOf, type Word } from './word';
export { type Coherence, DEFAULT_VIEW_LIMIT_BYTES, NonCoherentDma } from './non-coherent-dma';
