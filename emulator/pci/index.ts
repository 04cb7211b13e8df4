export { type BarOptions } from './bars';
export { type CardEnvironment, type MemoryBarOptions, PciCard } from './card';
export { CardDefinitionError } from './card-definition-error';
export { CAPABILITY_OFFSETS } from './config-space';
export { type CardIdentity, type InterruptPin, type LinkIdentity } from './identity';
export { type InterruptController, type InterruptMode } from './interrupt-controller';
export { type CardMemory, type MemoryAllocator, type MemoryBar, privateMemory } from './memory-bar';
export { type ResetKind } from './pci-function';
export { BAR_COUNT, CONFIG_SIZE_BYTES, Irq, Region, REGION_COUNT } from './vfio-layout';
