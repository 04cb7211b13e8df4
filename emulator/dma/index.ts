/**
 * Parts that DMA engines are made of: descriptor rings and chains, transfers, streams, write-back, moderation, links.
 * `import { DescriptorEngine, RingWalker } from 'ghostcard/dma'`.
 *
 * @module ghostcard/dma
 */
export { type CompletionOptions, CompletionReporter } from './completion-reporter';
export { type ChainLinks, ChainWalker } from './chain';
export { type Structure, structureCodec, type StructureCodec } from './codec';
export { HostCopier } from './copy';
export { DescriptorEngine, type DescriptorEngineOptions } from './engine';
export { CardAddressError, CardMemoryEndpoint, type DataSink, type DataSource } from './endpoint';
export { Link, type LinkModel, unlimitedLink } from './link';
export { InterruptModeration } from './moderation';
export { lowBits, narrowOrder, narrowPort } from './narrow';
export { PostedPort } from './posted';
export { RingWalker } from './ring';
export { StreamFifo } from './stream-fifo';
export { type Coherence } from '../memory';
export { SYNC_ERRORS, SYNC_REGISTERS, SyncUnit } from './sync';
export { type Endpoint, transfer, type TransferOrder, type TransferPath, type TransferResult } from './transfer';
export { type DescriptorWalker } from './walker';
