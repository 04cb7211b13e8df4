/**
 * What a trace is made of: everything that passes between a card, its driver and host memory, one event for each, in the
 * order in which it happened. The same events lie in a file (`format.ts`) and come out of a reader.
 *
 * An event is either a stimulus (something was done to the card: an access, a mapping, the turn of a task that the card
 * had scheduled) or an effect (the card did something: DMA, an interrupt, a change of state). Device time stands still
 * while a card reacts to a stimulus, so that effects have the time of their cause, and a replay is exact.
 */
import { type DmaErrorReason, type DmaRole } from '../../emulator/memory';
import { type HeldReason, type ResetKind } from '../../emulator/pci';
import { type CardDescription } from './card-description';

interface Happening {
  /** Which card, as `TraceCard.id` says; 0 for what concerns the run as a whole. */
  readonly card: number;
  /** Device time, in nanoseconds since the card was made. 0 for card 0. */
  readonly timeNs: number;
  /** Nanoseconds since the recording began, by the host's monotonic clock. */
  readonly hostNs: number;
}

/** A card comes into the trace: plugged in, served, or there again after a restart. Everything of it comes later. */
export interface CardEvent extends Happening {
  readonly kind: 'card';
  readonly description: CardDescription;
}

/** Stimulus. A read is written down when it is known what the card drives: effects of the read come before it. */
export interface AccessEvent extends Happening {
  readonly kind: 'read' | 'write';
  /** VFIO region: BARs 0 to 5, configuration space 7. */
  readonly region: number;
  readonly offset: number;
  /** What was read or written, little-endian; its length is the size of the access. */
  readonly data: Uint8Array;
}

/** Effect: what the card did to host memory, or tried. */
export interface DmaEvent extends Happening {
  readonly kind: 'dma-read' | 'dma-write';
  /** The part of the card that mastered the bus, such as 'H2C0'; '' when it does not say. */
  readonly channel: string;
  readonly role: DmaRole;
  readonly iova: number;
  readonly sizeBytes: number;
  /** The bytes, when payloads are recorded in full. */
  readonly data?: Uint8Array;
  /** Of the bytes, when payloads are recorded by hash, or this one is too large for a ring: the first 16 hexadecimal digits of their SHA-256. */
  readonly hash?: string;
  /** Why it failed; nothing has been moved then. */
  readonly error?: DmaErrorReason;
  /** It went by message, and was done later than it was asked for: this is when, and a stimulus. */
  readonly isAsync?: true;
}

/** Stimulus: the client (QEMU, an IOMMU behind it) maps memory for the card. */
export interface MapEvent extends Happening {
  readonly kind: 'map';
  readonly iova: number;
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

export interface UnmapEvent extends Happening {
  readonly kind: 'unmap';
  readonly iova: number;
  readonly sizeBytes: number;
}

/** Stimulus: the client sets up interrupts (VFIO_DEVICE_SET_IRQS). */
export interface IrqSetupEvent extends Happening {
  readonly kind: 'irq-setup';
  /** INTx 0, MSI 1, MSI-X 2, error 3, request 4. */
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly action: 'sinks' | 'trigger' | 'mask' | 'unmask';
  /** Of each vector: connected (`sinks`), or concerned. Left out: all. */
  readonly vectors?: readonly boolean[];
}

/**
 * Effect. 'raised': the card wants an interrupt (or drives its INTx line); 'lowered': it has let go of INTx; 'held': it
 * cannot go out now, `reason` says why; 'delivered': the client has been told.
 */
export interface InterruptEvent extends Happening {
  readonly kind: 'interrupt';
  readonly phase: InterruptPhase;
  readonly index: number;
  readonly vector: number;
  readonly reason?: HeldReason;
}
export type InterruptPhase = 'raised' | 'lowered' | 'held' | 'delivered';

/**
 * 'device' is a stimulus (the client resets the device); 'flr' the effect of a write to configuration space; 'other' an
 * effect too: the card's link went down, or a fault has reset it.
 */
export interface ResetEvent extends Happening {
  readonly kind: 'reset';
  readonly reset: ResetKind | 'other';
}

/**
 * Effect, right after the DMA read: so many of the bytes that a card without coherence was given are others in memory
 * now; its driver has not synchronised them.
 */
export interface StaleEvent extends Happening {
  readonly kind: 'stale';
  readonly sizeBytes: number;
}

/** Effect: a part of the card has changed its state ('H2C0' is 'running', 'bus master' is 'on'). */
export interface StateEvent extends Happening {
  readonly kind: 'state';
  readonly part: string;
  readonly state: string;
}

/** Stimulus: a task that the card has scheduled has its turn. */
export interface TaskEvent extends Happening {
  readonly kind: 'task';
}

/**
 * The next stimulus begins now, inside the reaction to the last: a driver in this process that, told of an interrupt,
 * accesses the card in the same call.
 */
export interface NestedEvent extends Happening {
  readonly kind: 'nested';
}

/** Stimulus: the card's link goes down, for good. */
export interface LinkEvent extends Happening {
  readonly kind: 'link-down';
}

/** The client of the card has come or gone. */
export interface ConnectionEvent extends Happening {
  readonly kind: 'connected' | 'disconnected';
}

/** A fault that was declared has fired. */
export interface FaultEvent extends Happening {
  readonly kind: 'fault';
  /** Its name in the plan. */
  readonly fault: string;
  /** What was done, in words. */
  readonly what: string;
}

/** What a user wanted to find again: from the guest (`gc-mark`), from a test (`guest.mark`), or a command's beginning and end. */
export interface MarkEvent extends Happening {
  readonly kind: 'mark';
  readonly from: 'guest' | 'host' | 'command';
  readonly text: string;
}

/** What the watch over the driver has found; or what the card's model has thrown. */
export interface NoticeEvent extends Happening {
  readonly kind: 'notice';
  readonly text: string;
}

/** The recording has ended in good order. */
export interface EndEvent extends Happening {
  readonly kind: 'end';
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
  | TaskEvent
  | NestedEvent
  | LinkEvent
  | ConnectionEvent
  | FaultEvent
  | MarkEvent
  | NoticeEvent
  | EndEvent;

export type TraceEventKind = TraceEvent['kind'];
