/** Recordings in words and numbers, compared, and for other programs. */
export { type TraceCard, TraceCards } from './card-names';
export {
  type CardCoverage,
  type Coverage,
  CoverageCounter,
  coverageOf,
  type RegisterUse,
  type UnmodelledUse,
} from './coverage';
export { eventToJson } from './json';
export { AccessOrigins } from './origins';
export { RepeatFolder, type RepeatListener } from './repeats';
export { type AddressRange, EventSelector, type Selection } from './select';
export { DmaCauses, type DmaCause, type WrittenBytes, wordWritten, writtenBytes } from './written';
export { describeTraceEvent, describeWithoutTime, notSeen, wordEvent, wordEventTime } from './words';
export { type Answer, DoorbellAnswers, DOORBELLS } from './doorbells';
export { exportPerfetto, type PerfettoEvent, perfettoLines, type PerfettoOptions } from './perfetto';
export { exportVcd, vcdLines, type VcdOptions } from './vcd';
export {
  type CardStats,
  type ChannelStats,
  type Distribution,
  type InterruptStats,
  type Moved,
  StatsCounter,
  type StatsOptions,
  traceStats,
  type TraceStats,
} from './stats';
export { type DiffLane, type DiffOptions, type Difference, diffTraces, type TraceDiff } from './diff';
