/**
 * Writing cards, and what can be done with them without a guest: drive, disturb, record, replay, look at recordings.
 * `import { PciCard, registerMap } from 'ghostcard'`.
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
export { exportHtml } from './analysis/html';
export * from './clock';
export * from './dma';
export { type DriverNotice, watchDriver, type WatchOptions } from './driver-watch';
export {
  applyFaults,
  type FaultCount,
  type FaultDeclaration,
  FaultDeclarationError,
  type FaultKind,
  type FaultyCard,
} from './faults';
export * from './host';
export * from './memory';
export {
  CardDefinitionError,
  type CardEnvironment,
  type CardIdentity,
  type InterruptController,
  type InterruptMode,
  type MemoryBar,
  type MemoryBarOptions,
  PciCard,
  platformDevice,
  type PlatformDevice,
  type PlatformWindow,
  type ResetKind,
} from './pci';
export * from './registers';
export {
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
export { ReferenceCard, type ReferenceCardOptions, REFERENCE_REGISTERS } from './cards/reference';
export {
  type Difference,
  drive,
  type DriveOptions,
  type DriveResult,
  type MakeCard,
  replay,
  ReplayDifferenceError,
  ReplayError,
  type ReplayOptions,
  type ReplayResult,
} from './replay';
export { type CardFactory, ServedCard, type ServeCardOptions } from './serve-card';
