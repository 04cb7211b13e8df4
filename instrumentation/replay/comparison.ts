/**
 * What the card does is recorded anew, and compared event by event with what the trace says: the same in the same order,
 * or the first difference.
 */
import { DmaError, type DmaInitiator } from '../../emulator/memory';
import {
  type DmaEvent,
  type EventSink,
  isRemark,
  isStimulus,
  type Payloads,
  type StimulusEvent,
  type TraceEvent,
} from '../trace';
import { type Difference } from './divergence';
import { isSame, isSameAccess, kept, type SeenEvent } from './event-equality';

/** Events before a difference that are shown. */
const CONTEXT_EVENTS = 12;

export interface ComparisonOptions {
  readonly payloads: Payloads;
  /** Of the trace. Left out: there is no limit. */
  readonly largestPayloadBytes?: number | undefined;
  /** Go on after a read that gave another value. */
  readonly allReads: boolean;
  /** The trace ends somewhere: what the card does beyond it is no difference. */
  readonly isCutOff: boolean;
}

/** A DMA by message that the card has asked for, and that the trace completes later. */
interface Awaited {
  readonly access: 'read' | 'write';
  readonly into: Uint8Array | undefined;
  readonly resolve: (next: TraceEvent | undefined) => void;
  readonly reject: (error: DmaError) => void;
}

type DifferenceDetails = Partial<Pick<Difference, 'seen' | 'thrown' | 'note' | 'cause'>>;

export class Comparison implements EventSink {
  readonly unmapsWindows = false;
  readonly payloads: Payloads;
  readonly largestPayloadBytes: number;
  readonly differences: Difference[] = [];
  /** How many events have been as the trace says. */
  at = 0;
  /** It makes no sense to go on. */
  isOver = false;
  /** What the card reacts to, or has reacted to last. */
  #cause: TraceEvent | undefined;
  #previous: TraceEvent | undefined;
  #depth = 0;
  /** By the index of their completion. */
  readonly #awaited = new Map<number, Awaited>();

  constructor(
    private readonly expected: readonly TraceEvent[],
    private readonly options: ComparisonOptions,
  ) {
    this.payloads = options.payloads;
    this.largestPayloadBytes = options.largestPayloadBytes ?? Infinity;
  }

  nextCard(): number {
    return 1;
  }

  get next(): TraceEvent | undefined {
    return this.expected[this.at];
  }

  /** The stimulus that comes next, with its index: effects of a read come before it, and so does what they lead to. */
  nextStimulus(from = this.at): { stimulus: StimulusEvent; index: number } | undefined {
    let nested = 0;
    for (let index = from; index < this.expected.length; index++) {
      const event = this.expected[index]!;
      if (event.kind === 'nested') nested++;
      else if (isStimulus(event) && nested-- === 0) return { stimulus: event, index };
    }
    return undefined;
  }

  /** Device time of the reaction in hand, in nanoseconds. */
  get timeNs(): number {
    return this.#cause?.timeNs ?? 0;
  }

  /** Runs the card's reaction to a stimulus. */
  during(cause: TraceEvent, react: () => void): void {
    const outer = this.#depth++ > 0 ? this.#cause : undefined;
    this.#previous = this.#cause;
    this.#cause = cause;
    try {
      react();
    } finally {
      this.#depth--;
      if (outer) this.#cause = outer;
    }
  }

  /** The marker of a nested stimulus that comes, in this replay, after the reaction: it is the same. */
  skip(): void {
    this.at++;
  }

  /** Takes what the card does, and what is done to it. */
  record(event: SeenEvent): void {
    if (this.isOver || isRemark(event)) return;
    const { next } = this;
    if (next === undefined) return this.#beyondTheEnd(event);
    if (isSame(next, event)) this.at++;
    // A read tells of itself when it is done: what comes first in the trace has not come before it.
    else if (event.kind === 'read' && next.kind !== 'read') this.differ({ cause: this.#previous });
    else if (this.options.allReads && event.kind === 'read' && next.kind === 'read') this.#readDiffers(kept(event));
    else this.differ({ seen: kept(event) });
  }

  /** The trace has effects left, and no stimulus. */
  endsEarly(): void {
    if (this.options.isCutOff)
      this.isOver = true; // of a read that would have come next
    else this.differ();
  }

  /** The card has not done what comes next, or something else. */
  differ(what: DifferenceDetails = {}): void {
    if (this.isOver) return;
    this.isOver = true;
    this.differences.push(this.#difference(what));
  }

  #beyondTheEnd(event: SeenEvent): void {
    if (this.options.isCutOff) this.isOver = true;
    else this.differ({ seen: kept(event) });
  }

  #readDiffers(seen: SeenEvent): void {
    this.differences.push(this.#difference({ seen }));
    this.at++;
  }

  #difference(what: DifferenceDetails): Difference {
    return {
      event: this.at + 1,
      timeNs: this.timeNs,
      expected: this.next,
      seen: undefined,
      cause: this.#cause,
      before: this.expected.slice(Math.max(0, this.at - CONTEXT_EVENTS), this.at),
      ...what,
      ...(what.seen && { seen: copied(what.seen) }),
    };
  }

  /**
   * What the trace knows of a DMA access that the card makes now: the event when it was done at once, or a promise that
   * is settled when the trace says so; each with what the trace has next. Undefined when there is no such access.
   */
  dma(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
  ): { event: DmaEvent; next: TraceEvent | undefined } | Promise<TraceEvent | undefined> | undefined {
    const asked = { kind: `dma-${access}`, ...by, iova, sizeBytes: bytes.length } as SeenEvent;
    const { next } = this;
    if (isSameAccess(next, asked) && !isStimulus(next!)) {
      return { event: next as DmaEvent, next: this.expected[this.at + 1] };
    }
    const into = access === 'read' ? bytes : undefined;
    for (let index = this.at; index < this.expected.length; index++) {
      const event = this.expected[index]!;
      if (!isByMessage(event) || this.#awaited.has(index) || !isSameAccess(event, asked)) continue;
      return new Promise((resolve, reject) => this.#awaited.set(index, { access, into, resolve, reject }));
    }
    // Asked for by message, and the trace ends before the answer.
    const isNow = next?.kind === 'dma-read' || next?.kind === 'dma-write';
    return !isNow && this.#usesMessages ? new Promise(() => {}) : undefined;
  }

  get #usesMessages(): boolean {
    return this.expected.some(isByMessage);
  }

  /** The DMA by message that the trace completes at `index` is complete. */
  complete(index: number): void {
    const awaited = this.#awaited.get(index);
    const event = this.expected[index] as DmaEvent;
    if (awaited === undefined) return this.differ({ note: 'the card has not asked for it' });
    if (event.error) awaited.reject(new DmaError(event.error, awaited.access, event.iova, event.sizeBytes));
    else {
      awaited.into?.set(event.data!);
      awaited.resolve(this.expected[index + 1]);
    }
  }
}

const isByMessage = (event: TraceEvent): boolean =>
  (event.kind === 'dma-read' || event.kind === 'dma-write') && event.isAsync === true;

/** The bytes of an event are those of the card, which goes on. */
const copied = (event: SeenEvent): SeenEvent =>
  'data' in event && event.data ? { ...event, data: event.data.slice() } : event;
