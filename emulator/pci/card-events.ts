/**
 * The events of a card: each access to it and each of its effects, published as they happen. Traces and the detector of
 * stalled drivers subscribe. The card's model does not know about them.
 *
 * A stimulus is published before the card acts on it (a read: once the card has returned its data), an effect after it
 * has happened. Device time does not advance in between, so an effect has the timestamp of its cause.
 */
import { type DmaErrorReason, type DmaRole } from '../memory';
import { type ResetKind } from '../registers';
import { type HeldReason } from './irq-index';

/** The client accesses a region. */
export interface AccessEvent {
  readonly kind: 'read' | 'write';
  /** VFIO region: BARs 0 to 5, configuration space 7. */
  readonly region: number;
  readonly offset: number;
  /** The data read or written, little-endian; its length is the size of the access. Valid only during the call. */
  readonly data: Uint8Array;
}

/** The card has accessed host memory, or the access has failed. */
export interface DmaEvent {
  readonly kind: 'dma-read' | 'dma-write';
  /** The part of the card that initiated the access, such as 'H2C0'; '' when it is not named. */
  readonly channel: string;
  readonly role: DmaRole;
  readonly iova: number;
  readonly sizeBytes: number;
  /** The bytes transferred; valid only during the call. Absent when nothing was transferred. */
  readonly data?: Uint8Array;
  /** Why the access failed; nothing was transferred then. */
  readonly error?: DmaErrorReason;
  /** The access went by message and has completed later than it was requested. The completion is a stimulus. */
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
  /** For each vector: whether it is connected (`sinks`) or selected (other actions). Absent: all. */
  readonly vectors?: readonly boolean[];
}

/** An interrupt of the card, in one of its phases. */
export interface InterruptEvent {
  readonly kind: 'interrupt';
  readonly phase: InterruptPhase;
  readonly index: number;
  readonly vector: number;
  /** Why it is held. */
  readonly reason?: HeldReason;
}

/**
 * 'raised': the card requests an interrupt or asserts INTx; 'lowered': it deasserts INTx; 'held': the interrupt cannot be
 * sent now, for the event's `reason`; 'sent': the client is notified.
 */
export type InterruptPhase = 'raised' | 'lowered' | 'held' | 'sent';

/** The function is about to be reset. 'device': by the client; other kinds follow from an access or an injected fault. */
export interface ResetEvent {
  readonly kind: 'reset';
  readonly reset: ResetKind;
}

/** A part of the card has changed its state ('H2C0' is 'running', 'bus master' is 'on'). */
export interface StateEvent {
  readonly kind: 'state';
  readonly part: string;
  readonly state: string;
}

/**
 * Events without data.
 * - 'task': a task that the card has scheduled is about to run.
 * - 'nested': the next stimulus begins now, inside the reaction to the last: a driver in this process receives an
 *   interrupt and accesses the card in the same call.
 * - 'link-down': the card's link is about to go down permanently.
 * - 'connected', 'disconnected': the client of the card has connected or disconnected.
 */
export interface PlainEvent {
  readonly kind: 'task' | 'nested' | 'link-down' | 'connected' | 'disconnected';
}

/** An injected fault has taken effect on the event published last. */
export interface FaultEvent {
  readonly kind: 'fault';
  /** Its name, as declared. */
  readonly fault: string;
  /** Description of its effect. */
  readonly what: string;
}

/** What an instrument has to say of the card or its driver, or a model error. */
export interface NoticeEvent {
  readonly kind: 'notice';
  readonly text: string;
  /** The DMA that it is about, if it is about one. */
  readonly dma?: DmaReference;
}

/** A DMA access of a card. */
export interface DmaReference {
  readonly kind: 'dma-read' | 'dma-write';
  /** When it began, in device time. */
  readonly timeNs: number;
  readonly iova: number;
  readonly sizeBytes: number;
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

  /** Calls `subscriber` with every event from now on. The returned function unsubscribes it. */
  subscribe(subscriber: CardSubscriber): () => void {
    this.#subscribers = [...this.#subscribers, subscriber];
    return () => (this.#subscribers = this.#subscribers.filter((other) => other !== subscriber));
  }

  /** Calls `listener` whenever the card may have changed: after an event, and after work that publishes none. */
  onChange(listener: () => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => (this.#listeners = this.#listeners.filter((other) => other !== listener));
  }

  publish(event: CardEvent): void {
    const subscribers = this.#subscribers;
    if (subscribers.length > 0) {
      const timeNs = this.clock.now();
      // A call site each for the first two, the trace and the checks: V8 inlines a call that has one target.
      subscribers[0]!(event, timeNs);
      if (subscribers.length > 1) subscribers[1]!(event, timeNs);
      for (let i = 2; i < subscribers.length; i++) subscribers[i]!(event, timeNs);
    }
    this.changed();
  }

  /** Reports that the card may have changed without an event: it has acted on a write, or run by itself. */
  changed(): void {
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i]!();
  }

  /** Publishes nothing from now on: the card is being closed, which has no equivalent in hardware. */
  close(): void {
    this.#subscribers = [];
  }
}
