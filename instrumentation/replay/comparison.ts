/**
 * Records what the card does in a replay, and compares it event by event with the trace: the same in the same order, up
 * to the first divergence.
 */
import { type Completion, DmaError, type DmaInitiator, PendingCompletion } from '../../emulator/memory';
import {
  type DmaEvent,
  type EventSink,
  isRemark,
  isStimulus,
  type Payloads,
  type StimulusEvent,
  type TraceEvent,
} from '../trace';
import { type Divergence } from './divergence';
import { isSame, isSameAccess, kept, type SeenEvent } from './event-equality';

/** Events before a divergence that are shown. */
const CONTEXT_EVENTS = 12;

export interface ComparisonOptions {
  readonly payloads: Payloads;
  /** Larger ones are hashes in the trace. Left out: there is no limit. */
  readonly largestPayloadBytes?: number | undefined;
  /** Go on after a read that returned another value. */
  readonly allReads: boolean;
  /** The trace ends somewhere: what the card does beyond its end is no divergence. */
  readonly isCutOff: boolean;
}

/** A DMA access by message that the card has requested, and that the trace completes later. */
interface Awaited {
  readonly access: 'read' | 'write';
  readonly into: Uint8Array | undefined;
  readonly completion: PendingCompletion;
}

/** What the trace knows of a DMA access that was done at once, or of one by message; and the event that follows it. */
type KnownDma =
  | { readonly event: DmaEvent; readonly later?: undefined; readonly next: TraceEvent | undefined }
  | { readonly later: Completion; readonly next?: TraceEvent | undefined };

type DivergenceDetails = Partial<Pick<Divergence, 'seen' | 'thrown' | 'note' | 'cause'>>;

export class Comparison implements EventSink {
  readonly disablesMmap = false;
  readonly payloads: Payloads;
  readonly largestPayloadBytes: number;
  readonly divergences: Divergence[] = [];
  /** How many events were as the trace says. */
  at = 0;
  /** There is nothing left to compare. */
  isOver = false;
  /** What the card reacts to, or reacted to last. */
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

  /** The next stimulus, with its index: the effects of a read come before the read, with what they cause. */
  nextStimulus(from = this.at): { stimulus: StimulusEvent; index: number } | undefined {
    let nested = 0;
    for (let index = from; index < this.expected.length; index++) {
      const event = this.expected[index]!;
      if (event.kind === 'nested') nested++;
      else if (isStimulus(event) && nested-- === 0) return { stimulus: event, index };
    }
    return undefined;
  }

  /** Device time of the current reaction, in nanoseconds. */
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

  /** For the marker of a nested stimulus that comes after the reaction in this replay, which is as good. */
  skip(): void {
    this.at++;
  }

  /** Receives what the card does, and what is done to it. */
  record(event: SeenEvent): void {
    if (this.isOver || isRemark(event)) return;
    const { next } = this;
    if (next === undefined) return this.#beyondTheEnd(event);
    if (isSame(next, event)) this.at++;
    // A read is recorded when it is done: the effect that the trace has before it did not happen.
    else if (event.kind === 'read' && next.kind !== 'read') this.diverge({ cause: this.#previous });
    else if (this.options.allReads && event.kind === 'read' && next.kind === 'read') this.#readDiverges(event);
    else this.diverge({ seen: event });
  }

  /** The trace has effects left, and no stimulus. */
  endsEarly(): void {
    if (this.options.isCutOff)
      this.isOver = true; // of a read that would have come next
    else this.diverge();
  }

  /** The card did not do what comes next in the trace. */
  diverge(what: DivergenceDetails = {}): void {
    if (this.isOver) return;
    this.isOver = true;
    this.divergences.push(this.#divergence(what));
  }

  #beyondTheEnd(event: SeenEvent): void {
    if (this.options.isCutOff) this.isOver = true;
    else this.diverge({ seen: event });
  }

  #readDiverges(seen: SeenEvent): void {
    this.divergences.push(this.#divergence({ seen }));
    this.at++;
  }

  #divergence(what: DivergenceDetails): Divergence {
    return {
      event: this.at + 1,
      timeNs: this.timeNs,
      expected: this.next,
      seen: undefined,
      cause: this.#cause,
      before: this.expected.slice(Math.max(0, this.at - CONTEXT_EVENTS), this.at),
      ...what,
      ...(what.seen && { seen: kept(what.seen) }),
    };
  }

  /**
   * What the trace knows of a DMA access that the card makes now: the event when it completed at once, or a completion
   * that is settled when the trace says so. Undefined when there is no such access.
   */
  dma(access: 'read' | 'write', by: DmaInitiator, iova: number, bytes: Uint8Array): KnownDma | undefined {
    const asked = { kind: `dma-${access}`, ...by, iova, sizeBytes: bytes.length } as SeenEvent;
    const { next } = this;
    if (isSameAccess(next, asked) && !isStimulus(next!)) {
      return { event: next as DmaEvent, next: this.expected[this.at + 1] };
    }
    const into = access === 'read' ? bytes : undefined;
    for (let index = this.at; index < this.expected.length; index++) {
      const event = this.expected[index]!;
      if (!isByMessage(event) || this.#awaited.has(index) || !isSameAccess(event, asked)) continue;
      const completion = new PendingCompletion();
      this.#awaited.set(index, { access, into, completion });
      return { later: completion, next: this.expected[index + 1] };
    }
    // Requested by message, and the trace ends before the reply.
    const isNow = next?.kind === 'dma-read' || next?.kind === 'dma-write';
    return !isNow && this.#usesMessages ? { later: new PendingCompletion() } : undefined;
  }

  get #usesMessages(): boolean {
    return this.expected.some(isByMessage);
  }

  /** Completes the DMA access by message that the trace completes at `index`. */
  complete(index: number): void {
    const awaited = this.#awaited.get(index);
    const event = this.expected[index] as DmaEvent;
    if (awaited === undefined) return this.diverge({ note: 'the card has not requested it' });
    const { access, into, completion } = awaited;
    if (event.error) return completion.fail(new DmaError(event.error, access, event.iova, event.sizeBytes));
    into?.set(event.data!);
    completion.finish();
  }
}

const isByMessage = (event: TraceEvent): boolean =>
  (event.kind === 'dma-read' || event.kind === 'dma-write') && event.isAsync === true;
