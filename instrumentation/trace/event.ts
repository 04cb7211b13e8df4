/**
 * The events of a trace: everything that passes between a card, its driver and host memory, one event each, in the order
 * in which it happened. Here is what an event of each kind holds; everything else about the kinds is in `kinds.ts`.
 *
 * An event is either a stimulus (something is done to the card: an access, a mapping, a scheduled task that runs) or an
 * effect (the card does something: DMA, an interrupt, a change of state). Device time stands still while a card reacts to
 * a stimulus, so effects have the time of their cause, and a replay is exact.
 */
import { type DmaErrorReason, type DmaRole } from '../../emulator/memory';
import { type HeldReason, type ResetKind } from '../../emulator/pci';
import { type CardDescription } from './card-description';

interface Stamp {
  /** Which card, by its number in the trace; 0 for what concerns the run as a whole. */
  readonly card: number;
  /** Device time, in nanoseconds since the card was made. 0 for card 0. */
  readonly timeNs: number;
  /** Nanoseconds since the recording began, by the host's monotonic clock. */
  readonly hostNs: number;
}

/** A card was plugged in, served, or restarted. It comes before all other events of the card. */
export interface CardEvent extends Stamp {
  readonly kind: 'card';
  readonly description: CardDescription;
}

/** A read is recorded when its value is known: after its effects. */
export interface AccessEvent extends Stamp {
  readonly kind: 'read' | 'write';
  /** VFIO region: BARs 0 to 5, configuration space 7. */
  readonly region: number;
  readonly offset: number;
  /** What was read or written, little-endian; its length is the size of the access. */
  readonly data: Uint8Array;
}

/** What the card did to host memory, or tried to do. */
export interface DmaEvent extends Stamp {
  readonly kind: 'dma-read' | 'dma-write';
  /** The part of the card that was bus master, such as 'H2C0'; '' when it does not say. */
  readonly channel: string;
  readonly role: DmaRole;
  readonly iova: number;
  readonly sizeBytes: number;
  /** The bytes, when payloads are recorded in full. */
  readonly data?: Uint8Array;
  /**
   * The first 16 hexadecimal digits of their SHA-256, when payloads are recorded as hashes, or when this one is too large
   * for a ring.
   */
  readonly hash?: string;
  /** Why it failed; no bytes were moved. */
  readonly error?: DmaErrorReason;
  /** It went by message and completed later than it was requested: the completion is recorded, and is a stimulus. */
  readonly isAsync?: true;
}

/** The client (QEMU, an IOMMU behind it) maps memory for the card. */
export interface MapEvent extends Stamp {
  readonly kind: 'map';
  readonly iova: number;
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

export interface UnmapEvent extends Stamp {
  readonly kind: 'unmap';
  readonly iova: number;
  readonly sizeBytes: number;
}

/** The client sets up interrupts (VFIO_DEVICE_SET_IRQS). */
export interface IrqSetupEvent extends Stamp {
  readonly kind: 'irq-setup';
  /** INTx 0, MSI 1, MSI-X 2, error 3, request 4. */
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly action: 'sinks' | 'trigger' | 'mask' | 'unmask';
  /** For each vector: whether it is connected (`sinks`) or affected. Left out: all are. */
  readonly vectors?: readonly boolean[];
}

/**
 * 'raised': the card requests an interrupt, or asserts INTx; 'lowered': it deasserts INTx; 'held': it cannot be delivered
 * now, for `reason`; 'delivered': the client was notified.
 */
export interface InterruptEvent extends Stamp {
  readonly kind: 'interrupt';
  readonly phase: InterruptPhase;
  readonly index: number;
  readonly vector: number;
  readonly reason?: HeldReason;
}
export type InterruptPhase = 'raised' | 'lowered' | 'held' | 'delivered';

/**
 * 'device': by the client; 'flr': by a write to configuration space; 'other': the card's link went down, or an injected
 * fault reset it.
 */
export interface ResetEvent extends Stamp {
  readonly kind: 'reset';
  readonly reset: ResetKind | 'other';
}

/** Comes right after the DMA read of a card without coherence that got bytes its driver had changed, but not synchronised. */
export interface StaleEvent extends Stamp {
  readonly kind: 'stale';
  /** How many of the bytes differ from memory. */
  readonly sizeBytes: number;
}

/** A part of the card changed its state: 'H2C0' is 'running', 'bus master' is 'on'. */
export interface StateEvent extends Stamp {
  readonly kind: 'state';
  readonly part: string;
  readonly state: string;
}

export interface FaultEvent extends Stamp {
  readonly kind: 'fault';
  /** Its name, as declared. */
  readonly fault: string;
  /** What it did, in words. */
  readonly what: string;
}

/** Set in the guest (`gc-mark`), by a test (`guest.mark`), or where a command in the guest begins and ends. */
export interface MarkEvent extends Stamp {
  readonly kind: 'mark';
  readonly from: 'guest' | 'host' | 'command';
  readonly text: string;
}

export interface NoticeEvent extends Stamp {
  readonly kind: 'notice';
  readonly text: string;
}

/** Nothing is to be said of these but that they happened. */
export interface PlainEvent extends Stamp {
  readonly kind: 'task' | 'nested' | 'link-down' | 'connected' | 'disconnected' | 'end';
}

export type TraceEvent =
  | CardEvent
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
  | NoticeEvent
  | PlainEvent;

export type TraceEventKind = TraceEvent['kind'];

/** The events of some kinds. */
export type EventOf<Kind extends TraceEventKind> = Kind extends unknown ? TraceEvent & { readonly kind: Kind } : never;

/** An event without the time that the recorder adds. */
export type Unstamped<E = TraceEvent> = E extends TraceEvent ? Omit<E, 'hostNs'> : never;

/** What happened, without which card and when. */
export type EventContent<E = TraceEvent> = E extends TraceEvent ? Omit<E, keyof Stamp> : never;
