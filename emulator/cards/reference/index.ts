export { ReferenceCard, type ReferenceCardOptions } from './card';
export { CHANNEL_PAIRS, IRQ_SOURCES, KERNELS, MAX_LENGTH_BYTES, MEMORY_BYTES, REFERENCE_REGISTERS } from './registers';
