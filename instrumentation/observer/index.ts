/** Who in the guest accesses registers, and whose bytes its memory holds. */
export { physicalRanges } from './bus-addresses';
export { ObservedCard, Observer, type OriginListener } from './observer';
export { type Doorbell } from './doorbells';
export { type Piece } from './pieces';
export { type CodeWriter, type DmaWriter, type Writer, type WrittenRun } from './provenance';
export {
  type DriverAccess,
  type KernelFacts,
  type LookedAfter,
  type ObservedMachine,
  type ObservedRace,
  type RamRange,
  type Release,
  SharedFile,
} from './shared-file';
