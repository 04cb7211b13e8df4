/**
 * The cards that come with ghostcard, and what their drivers know of them: `import { ReferenceCard } from 'ghostcard/cards'`.
 *
 * @module ghostcard/cards
 */
export {
  AXI_DMA_DESCRIPTOR,
  AXI_DMA_DESCRIPTOR_BYTES,
  AXI_DMA_DESCRIPTOR_CODEC,
  AXI_DMA_REGISTERS,
  AxiDmaCard,
  type AxiDmaCardOptions,
  type AxiStreams,
} from './axi-dma';
export { IoatCard, type IoatCardOptions } from './ioat';
export { PciEndpointTestCard, type PciEndpointTestCardOptions } from './pci-endpoint-test';
export {
  CHANNEL_REGISTERS,
  channelDeclaration,
  type Descriptor,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  DmaChannel,
  type DmaChannelOptions,
  encodeDescriptor,
  ERROR_CODES,
  type ErrorCode,
  REFERENCE_REGISTERS,
  ReferenceCard,
  type ReferenceCardOptions,
  WRITEBACK,
  WRITEBACK_BYTES,
} from './reference';
export {
  XDMA_DESCRIPTOR,
  XDMA_DESCRIPTOR_BYTES,
  XDMA_MAGIC,
  XDMA_POLLED_COUNT,
  XDMA_REGISTERS,
  XDMA_STREAM_MAGIC,
  XDMA_STREAM_RESULT,
  XdmaCard,
  type XdmaCardOptions,
  xdmaRegisters,
  type XdmaShape,
} from './xdma';
