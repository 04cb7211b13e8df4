/** Traces: the last events of a card in memory, all of them in a file, and words for both. */
export { Region, regionName } from '../../emulator/pci';
export { type CardTrace, type DmaTotals, traceOf } from './card-trace';
export { channelsNamed } from './channel-names';
export { DeclaredChannels, type Doorbell, doorbellValue } from './declared-channels';
export { describeEvent, describeTrace, type DescribeOptions, isAccess } from './describe';
export { type ErrorRegister, errorRegistersOf } from './error-registers';
export { type CardDescription, type RegisterSpace } from './card-description';
export { CardRecording, type EventSink, type RecordCardOptions } from './card-recording';
export type * from './event';
export { isDma, type RecentEvent } from './event-ring';
export { withResets } from './fields';
export { FORMAT, PAYLOADS, type Payloads, type Trace, TraceFormatError, type TraceHeader } from './format';
export {
  actorOf,
  isBarAccess,
  isRemark,
  isStimulus,
  KIND_NAMES,
  KINDS,
  kindsNamed,
  type StimulusEvent,
  wordsOf,
} from './kinds';
export { type CardNotice } from './notice';
export { type NamedRegister, placeOf, RegisterNames } from './names';
export { printable, printableLines } from './printable';
export { CardOutcome, type Finding } from './outcome';
export { readTrace, TraceReader } from './reader';
export { type RecorderOptions, TraceRecorder } from './recorder';
export { decodeStructures, type DecodedStructure } from './structures';
export { writeTrace } from './trace-file';
export {
  type AccessWords,
  type EventWords,
  fieldsOf,
  fieldValue,
  formatValue,
  inOneLine,
  nameOfValue,
  valueOf,
  wordAccess,
  wordBytes,
  wordDmaByActor,
  wordDuration,
  wordInterrupt,
  wordMechanism,
  wordOrigin,
  wordPlace,
  words,
  wordTime,
} from './wording';
