export { type BarOptions } from './bars';
export { type CardEnvironment, onFirstDriven, PciCard } from './card';
export { type FunctionMaker, MultifunctionCard } from './multifunction-card';
export { type MemoryBarOptions } from './card-bars';
export { type ConfigRegisters } from './author-config';
export {
  type CustomCapability,
  type CustomExtendedCapability,
  dvsecRegisters,
  vsecRegisters,
} from './capabilities/custom';
export { type ConfigStructure } from './config-space';
export type {
  DmaChannelDeclaration,
  DmaChannelDescription,
  DmaLayout,
  DmaLayoutDeclaration,
  DoorbellDeclaration,
  DoorbellDescription,
  WordLayout,
} from './dma-channels';
export { CardDefinitionError, type CardIdentity, type MsixIdentity } from './identity';
export type * from './card-events';
export { ErrorPath } from './error-path';
export { BUS_ERRORS, type BusError, type ErrorMessage, type ErrorReporting, type TlpHeader } from './error-reporting';
export { type BarContents, type CardInspection } from './inspection';
export { type InterruptPath, type InterruptStage } from './interrupt-path';
export { IntxRelease } from './intx-release';
export { type HeldReason } from './irq-index';
export { type InterruptBlock, type InterruptTrigger, type InterruptWiring } from './interrupt-block';
export { type InterruptController, type InterruptMode } from './interrupt-controller';
export { type CardMemory, type MemoryAllocator, type MemoryBar, privateMemory } from './memory-bar';
export { cDeclarations, platformDevice, type PlatformDevice, type PlatformWindow, structTables } from './platform';
export { BAR_COUNT, CONFIG_SIZE_BYTES, Irq, Region, REGION_COUNT, regionName } from './vfio-layout';
export { fillFile, sharedMemory } from './shared-memory';
