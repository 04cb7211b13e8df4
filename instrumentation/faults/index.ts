/** Injected faults: declared as data, applied to a card whose model knows nothing of them; and the link of its slot. */
export {
  applyFaults,
  checkFaultFor,
  checkNumber,
  type FaultCount,
  faultsOf,
  type FaultyCard,
  isUnfired,
  wordUnfired,
} from './apply';
export { checkFault } from './check';
export { FAULT_KINDS, type FaultDeclaration, type FaultKind, KINDS } from './kinds';
export { FaultDeclarationError } from './parameters';
export { shown } from './shown';
export { SlotLink } from './slot-link';
