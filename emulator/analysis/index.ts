/** A recording in words, numbers and pictures. */
export { type TraceCard, TraceCards } from './cards';
export {
  type CardCoverage,
  type Coverage,
  CoverageCounter,
  coverageOf,
  type RegisterUse,
  type UnmodelledUse,
} from './coverage';
export { describeTraceEvent, type EventWords, valueOf, wordEvent, wordPayload } from './words';
