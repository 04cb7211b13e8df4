/** The table of kinds: everything about a kind of fault is in its row, and what it does is next to that. */
import { type DeclarationOf } from './kind';
import { ACCESS_KINDS } from './kinds/accesses';
import { BUS_ERROR_KINDS } from './kinds/bus-errors';
import { DMA_KINDS } from './kinds/dma';
import { INTERRUPT_KINDS } from './kinds/interrupts';
import { ORDER_KINDS } from './kinds/order';
import { RESET_KINDS } from './kinds/resets';
import { CARD_KINDS } from './kinds/triggered';

export const KINDS = {
  ...INTERRUPT_KINDS,
  ...ORDER_KINDS,
  ...DMA_KINDS,
  ...ACCESS_KINDS,
  ...BUS_ERROR_KINDS,
  ...RESET_KINDS,
  ...CARD_KINDS,
};

/** Names of the kinds of faults (docs/faults.md). */
export type FaultKind = keyof typeof KINDS;
export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

/**
 * A fault as it is declared: plain data, from a test or a file (docs/faults.md is the reference). A trace carries it with
 * the description of its card, so that a replay applies it again.
 */
export type FaultDeclaration = {
  [Name in FaultKind]: { readonly fault: Name } & DeclarationOf<(typeof KINDS)[Name]>;
}[FaultKind];
