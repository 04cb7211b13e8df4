export { ReferenceCard, type ReferenceCardOptions } from './card';
export {
  CHANNEL_PAIRS,
  IRQ_SOURCES,
  MAX_LENGTH_BYTES,
  MEMORY_BYTES,
  PROCESSING,
  REFERENCE_REGISTERS,
} from './registers';
