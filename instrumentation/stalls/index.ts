/** A driver that waits in vain: noticed while it does, and told with what it waits for. */
export { type StallNotice } from './notice';
export { detectStalls, type StallOptions } from './detector';
