/** A recording in words, numbers and pictures. */
export { type TraceCard, TraceCards } from './cards';
export { describeTraceEvent, type EventWords, valueOf, wordEvent, wordPayload } from './words';
