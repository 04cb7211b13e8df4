/**
 * Launches guests with cards: `import { provision, Rig } from 'ghostcard/guest'`.
 *
 * @module ghostcard/guest
 */
export {
  buildModules,
  kernelBuild,
  type KernelBuild,
  provision,
  type Provisioned,
  ProvisionError,
  type ProvisionOptions,
  terminalProgress,
} from './provision';
export {
  type BindOptions,
  type BoundCard,
  type BoundPlatformDevice,
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
  QemuExitedError,
  type RunOptions,
  type Share,
  unloadModule,
} from './launch';
export {
  type ExecOptions,
  type ExecResult,
  type GuestCommand,
  GuestRequestError,
  type TerminalSize,
  type TransferOptions,
} from './channel';
export { type CardListeners, type ModelError, Rig, type RigCard, type RigOptions } from './rig';
