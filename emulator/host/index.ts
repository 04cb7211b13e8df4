export { COMMAND, type HostOptions, InProcessHost } from './host';
export { HostInterrupts, type InterruptKind } from './interrupts';
export { type HostBuffer, HostMemory } from './memory';
export { NamedRegisters } from './named-registers';
export { RegionSpace } from './space';
