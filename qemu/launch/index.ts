/** Launches guests. */
export { prefetchableRoomBytes } from './architectures';
export { explainSignal } from './fatal-signals';
export { keepArtifacts } from './artifacts';
export { GuestBootError, GuestClosedError, GuestError, GuestPanicError, QemuExitedError } from './errors';
export { guardedCommand } from './guard';
export { type Guest, type RunOptions } from './guest';
export { type BindOptions, type BoundCard, type BoundPlatformDevice, type UnplugOptions } from './guest-cards';
export {
  isModuleName,
  type LoadedModule,
  loadModule,
  type LoadModuleOptions,
  parseModuleArgument,
  unloadModule,
} from './kernel-module';
export { launchGuest } from './launch';
export { defaultSlots } from './machine-options';
export {
  type GuestSoftware,
  type LaunchCard,
  type LaunchOptions,
  type LaunchPhase,
  type LaunchProgress,
  type Share,
} from './options';
export { RunFolder, type RunFolderOptions } from './run-folder';
export { within, WaitTimeoutError } from './within';
