/** Launches guests. */
export { prefetchableRoomBytes, ramRanges } from './architectures';
export { explainSignal } from './fatal-signals';
export { keepArtifacts } from './artifacts';
export { GuestBootError, GuestClosedError, GuestError, GuestPanicError, QemuExitedError } from './errors';
export { guardedCommand } from './guard';
export { type Hiding, hiddenPaths } from './secrets';
export { type Guest, OWN, type RunOptions } from './guest';
export { type BindOptions, type BoundCard, type BoundPlatformDevice, type UnplugOptions } from './guest-cards';
export {
  isModuleName,
  type LoadedModule,
  loadModule,
  type LoadModuleOptions,
  parseModuleArgument,
  unloadModule,
} from './kernel-module';
export { type CardConnection } from './arguments';
export { launchGuest } from './launch';
export { DEFAULT_CPUS, DEFAULT_MEMORY_MIB, defaultSlots } from './machine-options';
export { highMiB, MEMORY_LAYOUTS, type MemoryLayout } from './memory-layout';
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
