/** DMA races between a driver and its cards. */
export { type Race, RaceDetector } from './detector';
export { Suppressions } from './suppressions';
export { type RaceKind, type RaceReport, reportRaces } from './words';
