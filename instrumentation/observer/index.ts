/** Who in the guest accesses registers. */
export { ObservedCard, Observer, type OriginListener } from './observer';
export { type Writer, type WrittenRun } from './provenance';
export {
  type DriverAccess,
  type KernelFacts,
  type LookedAfter,
  type ObservedMachine,
  type ObservedRace,
  type RamRange,
  SharedFile,
} from './shared-file';
