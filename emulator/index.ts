/**
 * Writing cards, and driving them in this process: `import { PciCard, registerMap } from 'ghostcard'`.
 *
 * @module ghostcard
 */
export { type Clock, ManualClock, Process, type ScheduledTask, type Wait } from './clock';
export {
  COMMAND,
  type HostBuffer,
  HostInterrupts,
  HostMemory,
  type HostOptions,
  InProcessHost,
  type InterruptKind,
  NamedRegisters,
  RegionSpace,
} from './host';
export { DmaError, type DmaErrorReason, type DmaPort, type DmaRole } from './memory';
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
  type FunctionMaker,
  type InterruptBlock,
  type InterruptController,
  type InterruptMode,
  type InterruptTrigger,
  type InterruptWiring,
  type MemoryBar,
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
export {
  type Access,
  bitsWithRole,
  cHeader,
  type CHeaderOptions,
  type FieldDeclaration,
  type MapSpec,
  markdownTable,
  type MarkdownOptions,
  registerBlock,
  type RegisterDeclaration,
  RegisterFile,
  type RegisterHandle,
  registerMap,
  type RegisterMap,
  RegisterMapError,
  type RegisterView,
  type RegisterWrite,
  type ResetKind,
  type Role,
} from './registers';
