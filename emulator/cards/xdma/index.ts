export { XdmaCard, type XdmaCardOptions } from './card';
export {
  XDMA_DESCRIPTOR,
  XDMA_DESCRIPTOR_BYTES,
  XDMA_MAGIC,
  XDMA_POLLED_COUNT,
  XDMA_STREAM_MAGIC,
  XDMA_STREAM_RESULT,
} from './layout';
export { XDMA_REGISTERS, xdmaRegisters, type XdmaShape } from './registers';
