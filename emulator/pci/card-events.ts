/**
 * What is done to a card and what it does, published as it happens: traces and the detector of stalled drivers subscribe.
 * The card's model knows nothing of it.
 *
 * A stimulus is published before the card acts on it (a read: once it is known what the card drives), an effect when it
 * has happened. Device time stands still meanwhile, so that effects have the time of their cause.
 */
import { type DmaErrorReason, type DmaRole } from '../memory';
import { type HeldReason } from './irq-index';

/** The client accesses a region. */
export interface AccessEvent {
  readonly kind: 'read' | 'write';
  /** VFIO region: BARs 0 to 5, configuration space 7. */
  readonly region: number;
  readonly offset: number;
  /** What was read or written, little-endian; its length is the size of the access. Valid during the call. */
  readonly data: Uint8Array;
}

/** What the card did to host memory, or tried. */
export interface DmaEvent {
  readonly kind: 'dma-read' | 'dma-write';
  /** The part of the card that mastered the bus, such as 'H2C0'; '' when it does not say. */
  readonly channel: string;
  readonly role: DmaRole;
  readonly iova: number;
  readonly sizeBytes: number;
  /** The bytes that were moved; valid during the call. Left out when nothing was moved. */
  readonly data?: Uint8Array;
  /** Why it failed; nothing has been moved then. */
  readonly error?: DmaErrorReason;
  /** It went by message, and was done later than it was asked for: this is when, and a stimulus. */
  readonly isAsync?: true;
}

/** The client (QEMU, an IOMMU behind it) is about to map memory for the card. */
export interface MapEvent {
  readonly kind: 'map';
  readonly iova: number;
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

export interface UnmapEvent {
  readonly kind: 'unmap';
  readonly iova: number;
  readonly sizeBytes: number;
}

/** The client is about to set up interrupts (VFIO_DEVICE_SET_IRQS). */
export interface IrqSetupEvent {
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
 * 'raised': the card requests an interrupt, or asserts INTx; 'lowered': it deasserts INTx; 'held': the interrupt cannot be
 * sent now, `reason` says why; 'delivered': the client is notified.
 */
export interface InterruptEvent {
  readonly kind: 'interrupt';
  readonly phase: InterruptPhase;
  readonly index: number;
  readonly vector: number;
  readonly reason?: HeldReason;
}
export type InterruptPhase = 'raised' | 'lowered' | 'held' | 'delivered';

/**
 * The function is about to be reset. 'device': by the client; 'flr': by a write to configuration space; 'other': the
 * card's link went down, or an injected fault has reset it.
 */
export interface ResetEvent {
  readonly kind: 'reset';
  readonly reset: 'flr' | 'device' | 'other';
}

/** A part of the card has changed its state ('H2C0' is 'running', 'bus master' is 'on'). */
export interface StateEvent {
  readonly kind: 'state';
  readonly part: string;
  readonly state: string;
}

/**
 * Nothing is to be said of these but that they happen.
 * - 'task': a task that the card has scheduled is about to run.
 * - 'nested': the next stimulus begins now, inside the reaction to the last: a driver in this process that is notified of
 *   an interrupt and accesses the card in the same call.
 * - 'link-down': the card's link is about to go down, for good.
 * - 'connected', 'disconnected': the client of the card has connected, or is gone.
 */
export interface PlainEvent {
  readonly kind: 'task' | 'nested' | 'link-down' | 'connected' | 'disconnected';
}

/** An injected fault has taken effect on what was published last. */
export interface FaultEvent {
  readonly kind: 'fault';
  /** Its name, as declared. */
  readonly fault: string;
  /** What was done, in words. */
  readonly what: string;
}

/** A stalled driver, or an error in the card's model. */
export interface NoticeEvent {
  readonly kind: 'notice';
  readonly text: string;
}

export type CardEvent =
  | AccessEvent
  | DmaEvent
  | MapEvent
  | UnmapEvent
  | IrqSetupEvent
  | InterruptEvent
  | ResetEvent
  | StateEvent
  | PlainEvent
  | FaultEvent
  | NoticeEvent;

/** Called for each event, register accesses included: it must be quick. `timeNs` is device time. */
export type CardSubscriber = (event: CardEvent, timeNs: number) => void;

export class CardEvents {
  #subscribers: readonly CardSubscriber[] = [];
  #listeners: readonly (() => void)[] = [];

  constructor(private readonly clock: { now(): number }) {}

  /** Calls `subscriber` with every event from now on, until the function that is returned is called. */
  subscribe(subscriber: CardSubscriber): () => void {
    this.#subscribers = [...this.#subscribers, subscriber];
    return () => (this.#subscribers = this.#subscribers.filter((other) => other !== subscriber));
  }

  /** Calls `listener` whenever the card may have changed: after an event, and after work that is none. */
  onChange(listener: () => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => (this.#listeners = this.#listeners.filter((other) => other !== listener));
  }

  publish(event: CardEvent): void {
    const subscribers = this.#subscribers;
    if (subscribers.length > 0) {
      const timeNs = this.clock.now();
      for (let i = 0; i < subscribers.length; i++) subscribers[i]!(event, timeNs);
    }
    this.changed();
  }

  /** The card may have changed without an event: it has acted on a write, or worked in its own time. */
  changed(): void {
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i]!();
  }

  /** What happens from now on happens on no board: the card is being closed. */
  close(): void {
    this.#subscribers = [];
  }
}
