export { AddressMap, AddressMapError, type MappedRange } from './address-map';
export { type DmaBacking, type DmaMapping, type RemoteMemory } from './backing';
export { DmaAccess } from './dma-access';
export { DmaError, type DmaErrorReason } from './dma-error';
export { type DmaPort } from './dma-port';
