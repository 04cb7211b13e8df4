export { IoatCard, type IoatCardOptions } from './card';
export { IOAT_DESCRIPTOR, IOAT_DESCRIPTOR_CODEC, IOAT_OPERATIONS } from './descriptor';
export { CHANNEL_ERRORS, CHANNEL_STATES, ioatRegisters } from './registers';
