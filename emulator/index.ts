/** Writing cards, and driving them in this process: `import { PciCard, registerMap } from 'ghostcard'`. */
export * from './clock';
export * from './dma';
export * from './host';
export * from './memory';
export {
  CardDefinitionError,
  type CardEnvironment,
  type CardIdentity,
  type DmaChannelDeclaration,
  type DmaLayoutDeclaration,
  type DoorbellDeclaration,
  type InterruptController,
  type InterruptMode,
  type MemoryBar,
  type MemoryBarOptions,
  PciCard,
  platformDevice,
  type PlatformDevice,
  type PlatformWindow,
  type ResetKind,
} from './pci';
export * from './registers';
export { ReferenceCard, type ReferenceCardOptions, REFERENCE_REGISTERS } from './cards/reference';
