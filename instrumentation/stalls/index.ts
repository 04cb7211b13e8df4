/** Stalled drivers: detected while they stall, and reported with what they wait for. */
export { type StallNotice } from './notice';
export { detectStalls, type StallOptions } from './detector';
