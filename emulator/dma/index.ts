export { DmaChannel, type DmaChannelOptions } from './channel';
export { type CompletionOptions, CompletionReporter } from './completion-reporter';
export { type Descriptor, completionStatus, decodeDescriptor, encodeControl, encodeDescriptor } from './descriptor';
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
export { DescriptorRing } from './ring';
export { StreamFifo } from './stream-fifo';
export { SYNC_ERRORS, SYNC_REGISTERS, SyncUnit } from './sync';
export { type Endpoint, transfer, type TransferPath, type TransferResult } from './transfer';
export { type WriteBackState, writeBack } from './write-back';
