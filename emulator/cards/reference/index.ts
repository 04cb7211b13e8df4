export { ReferenceCard, type ReferenceCardOptions } from './card';
export { DmaChannel, type DmaChannelOptions } from './channel';
export { type Descriptor, DESCRIPTOR_CODEC, encodeDescriptor } from './descriptor';
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
export {
  CHANNEL_PAIRS,
  IRQ_SOURCES,
  MAX_LENGTH_BYTES,
  MEMORY_BYTES,
  PROCESSING,
  REFERENCE_REGISTERS,
} from './registers';
