export { DmaChannel, type DmaChannelOptions } from './channel';
export { type CompletionOptions, CompletionReporter } from './completion-reporter';
export { type ChainLinks, ChainWalker } from './chain';
export { type Structure, structureCodec, type StructureCodec } from './codec';
export { type Descriptor, DESCRIPTOR_CODEC, encodeDescriptor } from './descriptor';
export { DescriptorEngine, type DescriptorEngineOptions } from './engine';
export { CardAddressError, CardMemoryEndpoint, type DataSink, type DataSource } from './endpoint';
export {
  CHANNEL_REGISTERS,
  channelDeclaration,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  ERROR_CODES,
  type ErrorCode,
  WRITEBACK,
  WRITEBACK_BYTES,
} from './layout';
export { Link, type LinkModel, unlimitedLink } from './link';
export { InterruptModeration } from './moderation';
export { lowBits, narrowPort } from './narrow';
export { RingWalker } from './ring';
export { StreamFifo } from './stream-fifo';
export { SYNC_ERRORS, SYNC_REGISTERS, SyncUnit } from './sync';
export { type Endpoint, transfer, type TransferPath, type TransferResult } from './transfer';
export { type DescriptorWalker } from './walker';
