/** Replays of recorded runs. */
export { drive, type DriveOptions, type DriveResult } from './drive';
export { type Divergence } from './divergence';
export { type MakeCard, replay, ReplayDivergenceError, type ReplayOptions, type ReplayResult } from './replay';
export { ReplayError } from './card-events';
