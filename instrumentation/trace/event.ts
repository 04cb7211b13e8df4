/**
 * The events of a trace: everything that passes between a card, its driver and host memory, one event each, in the
 * order in which it happened. Most are events of a card (`emulator/pci/card-events.ts`) with a stamp; here is what only
 * a recording has. Everything else about the kinds is in `kinds.ts`.
 *
 * An event is either a stimulus (something is done to the card: an access, a mapping, a scheduled task that runs) or an
 * effect (the card does something: DMA, an interrupt, a change of state). Device time stands still while a card reacts
 * to a stimulus, so effects have the time of their cause, and a replay is exact.
 */
import type * as Live from '../../emulator/pci';
import { type CardDescription } from './card-description';

/** What every event has: of which card it is, and when it happened. */
export interface Stamp {
  /** Which card, by its number in the trace; 0 for what concerns the run as a whole. */
  readonly card: number;
  /** Device time, in nanoseconds since the card was made. 0 for card 0. */
  readonly timeNs: number;
  /** Nanoseconds since the recording began, by the host's monotonic clock. */
  readonly hostNs: number;
}

/** A card was plugged in, served, or restarted. It comes before all other events of the card. */
export interface CardAddedEvent extends Stamp {
  readonly kind: 'card';
  readonly description: CardDescription;
}

/** A read is recorded when its value is known: after its effects. */
export interface AccessEvent extends Live.AccessEvent, Stamp {}

/** `data` is there when payloads are recorded in full. */
export interface DmaEvent extends Live.DmaEvent, Stamp {
  /**
   * The first 16 hexadecimal digits of their SHA-256, when payloads are recorded as hashes, or when this one is too
   * large for a ring.
   */
  readonly hash?: string;
}

/** The client has mapped memory for the card. */
export interface MapEvent extends Live.MapEvent, Stamp {}
/** The client has unmapped memory. */
export interface UnmapEvent extends Live.UnmapEvent, Stamp {}
/** The client sets up interrupts. */
export interface IrqSetupEvent extends Live.IrqSetupEvent, Stamp {}
/** An interrupt is raised, lowered, held back or sent. */
export interface InterruptEvent extends Live.InterruptEvent, Stamp {}
/** The function is reset. */
export interface ResetEvent extends Live.ResetEvent, Stamp {}
/** A part of the card has changed its state. */
export interface StateEvent extends Live.StateEvent, Stamp {}
/** An injected fault has taken effect. */
export interface FaultEvent extends Live.FaultEvent, Stamp {}
/** What an instrument has to say of the card or its driver. */
export interface NoticeEvent extends Live.NoticeEvent, Stamp {}

/** Comes right after the DMA read that got bytes which the driver of a card without coherence had not synchronised. */
export interface StaleEvent extends Stamp {
  readonly kind: 'stale';
  /** How many of the bytes differ from memory. */
  readonly sizeBytes: number;
}

/**
 * Who did the access of a BAR that is the card's last before this event: the number of a place. It comes before the card's
 * next access, if it is known.
 */
export interface OriginEvent extends Stamp {
  readonly kind: 'origin';
  readonly place: number;
}

/** A place in code that runs in the guest, or DMA as a writer. It comes before its first origin, and again when its name is known. */
export interface PlaceEvent extends Stamp {
  readonly kind: 'place';
  readonly place: number;
  /** Of the process that was there; 0: none is known. */
  readonly pid: number;
  readonly process: string;
  /** In hexadecimal. */
  readonly address: string;
  /** `driver.c:212 ring_doorbell`; absent: not known. */
  readonly name?: string;
}

/**
 * Who wrote what the card has read in the DMA that is its last before this event, piece by piece. Where these are too many,
 * it says how much of the bytes each writer has written; others wrote what is missing.
 */
export interface WrittenEvent extends Stamp {
  readonly kind: 'written';
  readonly pieces: readonly WrittenPiece[];
}

/** Bytes with one writer. */
export interface WrittenPiece {
  /** Of the first one, from the beginning of the DMA. */
  readonly offset: number;
  /** One past the last. */
  readonly end: number;
  /** Fewer than from `offset` to `end`: those between are of other pieces. */
  readonly sizeBytes: number;
  /** The number of the writer's place; 0: not known. */
  readonly place: number;
}

/** Set in the guest (`gc-mark`), by a test (`guest.mark`), or where a command in the guest begins and ends. */
export interface MarkEvent extends Stamp {
  readonly kind: 'mark';
  readonly from: 'guest' | 'host' | 'command';
  readonly text: string;
}

/** 'end': the recording was closed in good order. */
export interface PlainEvent extends Stamp {
  readonly kind: Live.PlainEvent['kind'] | 'end';
}

/** An event of a trace (docs/tracing.md). */
export type TraceEvent =
  | CardAddedEvent
  | AccessEvent
  | DmaEvent
  | MapEvent
  | UnmapEvent
  | IrqSetupEvent
  | InterruptEvent
  | ResetEvent
  | StaleEvent
  | StateEvent
  | FaultEvent
  | MarkEvent
  | OriginEvent
  | PlaceEvent
  | WrittenEvent
  | NoticeEvent
  | PlainEvent;

export type TraceEventKind = TraceEvent['kind'];

/** The events of some kinds. */
export type EventOf<Kind extends TraceEventKind> = Kind extends unknown ? TraceEvent & { readonly kind: Kind } : never;

/** An event without the time that the recorder adds. */
export type Unstamped<E = TraceEvent> = E extends TraceEvent ? Omit<E, 'hostNs'> : never;

/** What happened, without which card and when. */
export type EventContent<E = TraceEvent> = E extends TraceEvent ? Omit<E, keyof Stamp> : never;

/** Who did an access: the place in code, which has its name as soon as that is known. */
export type Origin = EventContent<PlaceEvent>;
