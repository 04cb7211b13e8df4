/** Launching guests with cards: `import { provision, Rig } from 'ghostcard/guest'`. */
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
  type BoundCard,
  type Guest,
  GuestBootError,
  GuestPanicError,
  launchGuest,
  type LaunchOptions,
  loadModule,
  type LoadedModule,
  QemuExitedError,
  unloadModule,
} from './launch';
export { type ExecOptions, type ExecResult } from './channel';
export { Rig, type RigCard, type RigOptions } from './rig';
