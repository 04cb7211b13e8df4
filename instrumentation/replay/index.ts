/** Recorded runs, once more. */
export { drive, type DriveOptions, type DriveResult } from './drive';
export { type Difference } from './divergence';
export { type MakeCard, replay, ReplayDifferenceError, type ReplayOptions, type ReplayResult } from './replay';
export { ReplayError } from './card-events';
