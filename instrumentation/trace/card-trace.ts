/**
 * What has happened to a card, for people who want to know why a test failed: its last events in a ring, and totals of
 * its interrupts, DMA and resets. `traceOf(card)` is there for every card, from before it is driven for the first time.
 */
import { type Device } from '../../emulator/device';
import { type CardEvent, type DmaEvent, onFirstDriven, type PciCard } from '../../emulator/pci';
import { type ResetKind } from '../../emulator/registers';
import { CardRecording, type EventSink, type RecordCardOptions } from './card-recording';
import { type Origin } from './event';
import { EventRing, type RecentEvent } from './event-ring';
import { CardOutcome, type Finding } from './outcome';
import { UnreadErrors } from './unread-errors';

/** Events kept. */
const CAPACITY = 4096;
/** Notices kept. */
const NOTICES = 100;

/** How much DMA there was. */
export interface DmaTotals {
  readonly accesses: number;
  readonly bytes: number;
  readonly errors: number;
}

type Totals = { -readonly [Name in keyof DmaTotals]: number };
const noTotals = (): Totals => ({ accesses: 0, bytes: 0, errors: 0 });

const traces = new WeakMap<PciCard, CardTrace>();

/** The trace of a card; there is one. */
export function traceOf(card: PciCard): CardTrace {
  let trace = traces.get(card);
  if (trace === undefined) traces.set(card, (trace = new CardTrace(card)));
  return trace;
}

// A test that fails asks for the trace when all has happened: whoever has loaded this module can.
onFirstDriven.add(traceOf);

/** What has happened to a card: its last events, and totals of interrupts, DMA and resets. */
export class CardTrace {
  readonly #ring = new EventRing(CAPACITY);
  readonly #interrupts: number[][] = [];
  readonly #dma = { read: new Map<string, Totals>(), write: new Map<string, Totals>() };
  readonly #notices: { readonly timeNs: number; readonly text: string }[] = [];
  readonly #outcome = new CardOutcome();
  /** Made when the card is driven: its author has declared all registers by then. */
  #errors: UnreadErrors | undefined;
  /** What the parts of the card have last said of themselves: 'H2C0' is 'running'. */
  readonly states = new Map<string, string>();
  #recording: CardRecording | undefined;

  /** @internal Use `traceOf`. */
  constructor(readonly card: PciCard) {
    card.inspection.events.subscribe((event, timeNs) => this.#take(event, timeNs));
  }

  /**
   * @internal From now on, everything is written to a file as well. To be called before a client drives the card: a replay begins
   * with the card as it was made.
   */
  record(recorder: EventSink, options: RecordCardOptions): CardRecording {
    return (this.#recording = new CardRecording(this.card, recorder, options));
  }

  /** @internal What it is recorded by, if it is. */
  get recording(): CardRecording | undefined {
    return this.#recording;
  }

  /** @internal The card as a client is to drive it. */
  get device(): Device {
    return this.card.inspection.device;
  }

  /** @internal How many events the ring has lost to newer ones. */
  get forgotten(): number {
    return this.#ring.forgotten;
  }

  /** @internal From the last event back. */
  newestFirst(): Generator<RecentEvent> {
    return this.#ring.newestFirst();
  }

  /** How often the card has interrupted, by vector of an interrupt index (INTx 0, MSI 1, MSI-X 2). */
  interrupts(index: number): readonly number[] {
    return this.#interrupts[index] ?? [];
  }

  /** The vectors of an interrupt index that the client has connected. */
  connectedVectors(index: number): readonly number[] {
    return this.card.inspection.device.connectedVectors(index);
  }

  /** What the card has read from host memory, or written to it: all of it, or these channels. */
  dma(access: 'read' | 'write', channels?: ReadonlySet<string>): DmaTotals {
    const sum = noTotals();
    for (const [channel, { accesses, bytes, errors }] of this.#dma[access]) {
      if (channels?.has(channel) === false) continue;
      sum.accesses += accesses;
      sum.bytes += bytes;
      sum.errors += errors;
    }
    return sum;
  }

  /** How often the card has been reset in this way. */
  resets(kind: ResetKind): number {
    return this.card.inspection.resets(kind);
  }

  /** What host memory holds now; undefined where the client has not mapped it, or not in a way that can be read here. */
  hostMemory(iova: number, sizeBytes: number): Uint8Array | undefined {
    return this.card.inspection.hostMemory(iova, sizeBytes);
  }

  /** Calls `listener` whenever the card may have changed, until the function that is returned is called. */
  onChange(listener: () => void): () => void {
    return this.card.inspection.events.onChange(listener);
  }

  /** The last notices, oldest first, with the device time of each. */
  get notices(): readonly { readonly timeNs: number; readonly text: string }[] {
    return this.#notices;
  }

  /** What is left to say of the card now: halts, refused DMA, what still runs, interrupts and errors not taken. */
  get findings(): readonly Finding[] {
    return [...this.#outcome.findings, ...this.#unreadErrors.findings];
  }

  /** @internal The card's link goes down, by `sever`. */
  linkDown(sever: () => void): void {
    const { clock, events } = this.card.inspection;
    clock.enter();
    try {
      events.publish({ kind: 'link-down' });
      sever();
    } finally {
      clock.leave();
    }
  }

  /** @internal Who did the last access of a BAR. */
  addOrigin(origin: Origin): void {
    this.#ring.addOrigin(origin);
  }

  /** @internal Publishes what no card does by itself: an injected fault, a notice, a client that connects. */
  add(event: CardEvent): void {
    this.card.inspection.events.publish(event);
  }

  #take(event: CardEvent, timeNs: number): void {
    this.#ring.add(event, timeNs);
    this.#outcome.take(event);
    switch (event.kind) {
      case 'read':
        return this.#unreadErrors.read(event.region, event.offset, event.data.length);
      case 'reset':
        return this.#unreadErrors.reset();
      case 'dma-read':
      case 'dma-write':
        return this.#count(event);
      case 'interrupt': {
        if (event.phase !== 'sent') return;
        const counts = (this.#interrupts[event.index] ??= []);
        counts[event.vector] = (counts[event.vector] ?? 0) + 1;
        return;
      }
      case 'state':
        this.states.set(event.part, event.state);
        return;
      case 'notice':
        this.#notices.push({ timeNs, text: event.text });
        if (this.#notices.length > NOTICES) this.#notices.shift();
    }
  }

  get #unreadErrors(): UnreadErrors {
    return (this.#errors ??= new UnreadErrors(this.card));
  }

  #count({ kind, channel, sizeBytes, error }: DmaEvent): void {
    const all = this.#dma[kind === 'dma-read' ? 'read' : 'write'];
    let totals = all.get(channel);
    if (totals === undefined) all.set(channel, (totals = noTotals()));
    if (error !== undefined) totals.errors++;
    else {
      totals.accesses++;
      totals.bytes += sizeBytes;
    }
  }
}
