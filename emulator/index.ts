/** Writing cards, and driving them in this process: `import { PciCard, registerMap } from 'ghostcard'`. */
export * from './clock';
export * from './dma';
export * from './host';
export * from './memory';
export {
  type BarOptions,
  CardDefinitionError,
  type CardEnvironment,
  type CardIdentity,
  type ConfigRegisters,
  type CustomCapability,
  type CustomExtendedCapability,
  type DmaChannelDeclaration,
  type DmaLayoutDeclaration,
  type DoorbellDeclaration,
  dvsecRegisters,
  type InterruptBlock,
  type InterruptController,
  type InterruptMode,
  type InterruptTrigger,
  type InterruptWiring,
  type MemoryBar,
  type FunctionMaker,
  type MemoryBarOptions,
  type MsixIdentity,
  MultifunctionCard,
  PciCard,
  platformDevice,
  type PlatformDevice,
  type PlatformWindow,
  type ReadyAfterNs,
  vsecRegisters,
} from './pci';
export * from './registers';
export {
  AXI_DMA_DESCRIPTOR,
  AXI_DMA_DESCRIPTOR_BYTES,
  AXI_DMA_DESCRIPTOR_CODEC,
  AXI_DMA_REGISTERS,
  AxiDmaCard,
  type AxiDmaCardOptions,
  type AxiStreams,
} from './cards/axi-dma';
export { IoatCard, type IoatCardOptions } from './cards/ioat';
export { PciEndpointTestCard, type PciEndpointTestCardOptions } from './cards/pci-endpoint-test';
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
} from './cards/reference';
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
} from './cards/xdma';
