/**
 * What a driver developer points at a card: traces, injected faults, replay, analysis of recordings, stalled drivers.
 * `import { replay, traceOf } from 'ghostcard/instrumentation'`.
 *
 * @module ghostcard/instrumentation
 */
export {
  coverageOf,
  type Coverage,
  describeTraceEvent,
  type DiffOptions,
  diffTraces,
  exportPerfetto,
  exportVcd,
  type PerfettoOptions,
  type StatsOptions,
  TraceCards,
  type TraceDiff,
  traceStats,
  type TraceStats,
  type VcdOptions,
} from './analysis';
export { type CardChecks, CHECK_NAMES, type CheckCount, type CheckOptions, checksOf } from './checks';
export {
  applyFaults,
  type FaultCount,
  type FaultDeclaration,
  FaultDeclarationError,
  type FaultKind,
  type FaultyCard,
} from './faults';
export {
  type Divergence,
  drive,
  type DriveOptions,
  type DriveResult,
  type MakeCard,
  replay,
  ReplayDivergenceError,
  ReplayError,
  type ReplayOptions,
  type ReplayResult,
} from './replay';
export { exportHtml } from './report';
export { type CardFactory, type NoticeOptions, ServedCard, type ServeCardOptions } from './served-card';
export { type StallNotice, detectStalls, type StallOptions } from './stalls';
export {
  type CardNotice,
  type CardTrace,
  describeTrace,
  type DmaTotals,
  type Payloads,
  readTrace,
  type RecorderOptions,
  type Trace,
  type TraceEvent,
  TraceFormatError,
  type TraceHeader,
  traceOf,
  TraceReader,
  TraceRecorder,
} from './trace';
