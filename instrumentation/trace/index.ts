/** Traces: the last events of a card in memory, all of them in a file, and what both are called in words. */
export { Region } from '../../emulator/pci';
export { type CardTrace, type DmaTotals, type Notice, traceOf } from './card-trace';
export { describeEvent, describeTrace, type DescribeOptions, isAccess, valueOf } from './describe';
export { type CardDescription, type RegisterSpace } from './card-description';
export { CardRecording, type EventSink, type RecordCardOptions } from './card-recording';
export type * from './event';
export { isDma, type RecentEvent } from './event-ring';
export { FORMAT, PAYLOADS, type Payloads, TRACE_EVENT_KINDS, TraceFormatError, type TraceHeader } from './format';
export { type NamedRegister, placeOf, RegisterNames } from './names';
export { readTrace, type Trace, TraceReader } from './reader';
export { writeTrace } from './writer';
export { type RecorderOptions, TraceRecorder, type Unstamped } from './recorder';
export {
  type AccessWords,
  fieldsOf,
  fieldValue,
  formatValue,
  nameOfValue,
  wordAccess,
  wordBytes,
  wordDuration,
  wordInterrupt,
  wordMechanism,
  wordRange,
  wordReset,
  wordTime,
} from './wording';
