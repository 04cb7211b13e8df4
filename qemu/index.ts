/** Launching guests with cards: `import { provision, Rig } from 'ghostcard/guest'`. */
export { provision, type Provisioned, ProvisionError, type ProvisionOptions, terminalProgress } from './provision';
export {
  type BoundCard,
  Guest,
  GuestBootError,
  GuestPanicError,
  launchGuest,
  type LaunchOptions,
  QemuExitedError,
} from './launch';
export { type ExecOptions, type ExecResult } from './channel';
export { Rig, type RigCard, type RigOptions } from './rig';
