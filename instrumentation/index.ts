/**
 * What a driver developer points at a card: traces, injected faults, replay, analysis of recordings, stalled drivers.
 * `import { replay, traceOf } from 'ghostcard/instrumentation'`.
 *
 * @module ghostcard/instrumentation
 */
export {
  type CardCoverage,
  type CardStats,
  type ChannelStats,
  coverageOf,
  type Coverage,
  describeTraceEvent,
  type DiffOptions,
  diffTraces,
  type Distribution,
  exportPerfetto,
  exportVcd,
  type InterruptStats,
  type Moved,
  type PerfettoOptions,
  type RegisterUse,
  type StatsOptions,
  type TraceCard,
  TraceCards,
  type TraceDiff,
  traceStats,
  type TraceStats,
  type UnmodelledUse,
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
export { type RaceKind, type RaceReport } from './races';
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
export {
  type DmaChannelDescription,
  type DmaLayout,
  type DmaReference,
  type DoorbellDescription,
  type HeldReason,
  type InterruptPhase,
  type WordLayout,
} from '../emulator/pci';
export { exportHtml } from './report';
export { type CardFactory, type NoticeOptions, ServedCard, type ServeCardOptions } from './served-card';
export { detectStalls, type StallNotice, type StallOptions } from './stalls';
export {
  type AccessEvent,
  type CardAddedEvent,
  type CardDescription,
  type CardNotice,
  type CardTrace,
  describeTrace,
  type DescribeOptions,
  type DmaEvent,
  type DmaTotals,
  type FaultEvent,
  type Finding,
  type InterruptEvent,
  type IrqSetupEvent,
  type MapEvent,
  type MarkEvent,
  type NoticeEvent,
  type OriginEvent,
  type Payloads,
  type PlaceEvent,
  type PlainEvent,
  readTrace,
  type RecorderOptions,
  type RegisterSpace,
  type ResetEvent,
  type StaleEvent,
  type StateEvent,
  type Trace,
  type TraceEvent,
  TraceFormatError,
  type TraceHeader,
  traceOf,
  TraceReader,
  TraceRecorder,
  type UnmapEvent,
  type Unstamped,
  type WrittenEvent,
  type WrittenPiece,
} from './trace';
