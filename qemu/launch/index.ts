/** Launching guests. */
export { cardDevice, cardId, MAX_SLOTS, slotId, slotPciAddress } from './arguments';
export { GuestBootError, GuestClosedError, GuestError, GuestPanicError, QemuExitedError } from './errors';
export { guardedCommand } from './guard';
export { Guest, launchGuest, type BoundCard } from './guest';
export {
  type GuestSoftware,
  type LaunchCard,
  type LaunchOptions,
  type LaunchPhase,
  type LaunchProgress,
} from './options';
export { RunFolder, type RunFolderOptions } from './run-folder';
export { within, WaitTimeoutError } from './within';
