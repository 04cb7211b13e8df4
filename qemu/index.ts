/**
 * Launches guests with cards: `import { provision, Rig } from 'ghostcard/guest'`.
 *
 * @module ghostcard/guest
 */
export {
  buildModules,
  type GuestArch,
  kernelBuild,
  type KernelBuild,
  type ProgressEvent,
  type ProgressListener,
  provision,
  type Provisioned,
  type ProvisionedKernel,
  type ProvisionedQemu,
  ProvisionError,
  type ProvisionOptions,
  type Step,
  terminalProgress,
  type TextSink,
} from './provision';
export {
  type BindOptions,
  type BoundCard,
  type BoundPlatformDevice,
  type CardConnection,
  type Guest,
  GuestBootError,
  GuestClosedError,
  GuestError,
  GuestPanicError,
  type GuestSoftware,
  type LaunchCard,
  launchGuest,
  type LaunchOptions,
  type LaunchPhase,
  type LaunchProgress,
  loadModule,
  type LoadedModule,
  type LoadModuleOptions,
  type MemoryLayout,
  QemuExitedError,
  type RunOptions,
  type Share,
  type UnplugOptions,
  unloadModule,
} from './launch';
export {
  type ExecOptions,
  type ExecResult,
  type GuestCommand,
  GuestRequestError,
  type OutputSink,
  type TerminalSize,
  type TransferOptions,
} from './channel';
export { type CardListeners, type ModelError, Rig, type RigCard, type RigOptions } from './rig';
