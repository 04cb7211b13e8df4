/**
 * A row of the table of kinds: all there is to a kind of fault. What a declaration of it may have is derived from it, and
 * so is its row in docs/faults.md.
 */
import { type DmaRole } from '../../emulator/memory';
import { type Fault, type FaultSite } from './fault';
import { ACCESS, type COMMON, DMA, type Filled, INTERRUPT, type Parameters, RESET, type Values } from './parameters';

/** Events that can trigger a fault that does not change them, and the keys that select among them. */
export const TRIGGERS = { read: ACCESS, write: ACCESS, dma: DMA, interrupt: INTERRUPT, reset: RESET };
type TriggerName = keyof typeof TRIGGERS;

/** What triggers a fault, as it is declared: a device time, or an event. */
type DeclaredTrigger<Name extends TriggerName> =
  { readonly atNs: number } | { [N in Name]: { readonly on: N } & Values<(typeof TRIGGERS)[N]> }[Name];
/** The same with defaults. */
export type Trigger<Name extends TriggerName = TriggerName> =
  { readonly atNs: number } | { [N in Name]: { readonly on: N } & Filled<(typeof TRIGGERS)[N]> }[Name];

export interface Row<M, P, T extends readonly TriggerName[]> {
  /** The keys that select the events that it applies to. */
  readonly match?: M;
  /** What else its declaration may have. */
  readonly parameters?: P;
  /** In place of `match`: what triggers it, besides a device time. */
  readonly triggers?: T;
  /** The card's model must name DMA of one of these roles. */
  readonly roles?: readonly DmaRole[];
  /** What happens, for docs/faults.md. */
  readonly doc: string;
  readonly make: (site: FaultSite, given: Filled<M> & Filled<P> & GivenTrigger<T>) => Fault;
}

type GivenTrigger<T extends readonly TriggerName[]> = T extends readonly [] ? unknown : Trigger<T[number]>;

/** What a declaration of the kind has besides `fault`. */
export type DeclarationOf<K> =
  K extends Row<infer M, infer P, infer T>
    ? Flat<
        Values<typeof COMMON> & Values<M> & Values<P> & (T extends readonly [] ? unknown : DeclaredTrigger<T[number]>)
      >
    : never;
type Flat<T> = { [Key in keyof T]: T[Key] } & {};

/** Of whatever kind. Its `make` gets a declaration that has been checked, with its defaults. */
export interface Kind extends Omit<Row<Parameters, Parameters, readonly TriggerName[]>, 'make'> {
  make(site: FaultSite, given: object): Fault;
}

export function kind<
  const M extends Parameters = Record<never, never>,
  const P extends Parameters = Record<never, never>,
  const T extends readonly TriggerName[] = readonly [],
>(row: Row<M, P, T>): Row<M, P, T> {
  return row;
}
