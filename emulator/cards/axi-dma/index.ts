export { AxiDmaCard, type AxiDmaCardOptions, type AxiStreams } from './card';
export { AXI_DMA_DESCRIPTOR_CODEC } from './channel';
export { AXI_DMA_CHANNEL, AXI_DMA_DESCRIPTOR, AXI_DMA_DESCRIPTOR_BYTES, AXI_DMA_REGISTERS } from './registers';
