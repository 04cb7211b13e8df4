/** Stalled drivers: detected while they stall, and reported with what they wait for. */
export { type StallKind, type StallNotice, STALLS } from './notice';
export { detectStalls, type StallOptions } from './detector';
