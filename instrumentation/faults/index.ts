/** Disturbances, which no card knows of: declared ones, and the link that can be severed. */
export {
  applyFaults,
  checkFaultFor,
  type FaultCount,
  faultsOf,
  type FaultyCard,
  isUnfired,
  wordUnfired,
} from './apply';
export { checkFault, FAULT_KINDS, parametersOf } from './check';
export type * from './parameters';
export { FaultDeclarationError } from './error';
export { SlotLink } from './slot-link';
