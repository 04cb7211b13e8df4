/** Traces: the last events of a card, with the names of its registers. */
export { type CardTrace, type DmaTotals, traceOf } from './card-trace';
export {
  describeEvent,
  describeTrace,
  type DescribeOptions,
  fieldsOf,
  fieldValue,
  formatValue,
  isAccess,
  nameOfValue,
} from './describe';
export { type EventDetail, type EventKind, type TraceEvent } from './event-ring';
export { type NamedRegister, placeOf, RegisterNames } from './names';
