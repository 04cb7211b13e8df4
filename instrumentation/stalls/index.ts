/** A driver that waits in vain: noticed while it does, and told with what it waits for. */
export { type DriverNotice } from './notice';
export { watchDriver, type WatchOptions } from './detector';
