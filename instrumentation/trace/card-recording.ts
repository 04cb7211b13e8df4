/** What a card does and what is done to it, as events for the recorder. */
import { hash } from 'node:crypto';
import { type CardEvent, type DmaEvent, type PciCard } from '../../emulator/pci';
import { describeCard } from './card-description';
import { type DmaEvent as RecordedDma, type Unstamped } from './event';
import { type TraceRecorder } from './recorder';

export interface RecordCardOptions {
  /** What the card is called in the trace. */
  readonly name: string;
  /** The faults that were declared for it, to be written down. */
  readonly faults?: readonly unknown[];
  /** The card offers no BAR mapping at present, whatever the recorder asks for. Default false. */
  readonly isMmapDisabled?: boolean;
}

/** Where events of cards go: a recorder, or a replay that compares them. The `data` of one is valid during the call only. */
export type EventSink = Pick<
  TraceRecorder,
  'payloads' | 'largestPayloadBytes' | 'disablesMmap' | 'nextCard' | 'record'
>;

/** An event without what is the same for all of a card. */
type OfCard<E = Unstamped> = E extends Unstamped ? Omit<E, 'card' | 'timeNs'> : never;

export class CardRecording {
  /** The card's number in the trace. */
  readonly id: number;
  /** What the card has read up to now that was stale, in bytes. */
  #stale: number;

  constructor(
    private readonly card: PciCard,
    private readonly recorder: EventSink,
    options: RecordCardOptions,
  ) {
    this.id = recorder.nextCard();
    this.#stale = card.coherence?.counts.stale ?? 0;
    const isMmapDisabled = recorder.disablesMmap || options.isMmapDisabled === true;
    this.record({ kind: 'card', description: describeCard(card, { ...options, isMmapDisabled }) });
    card.inspection.device.hidesBarMappings = recorder.disablesMmap;
    card.inspection.events.subscribe((event, timeNs) => this.#take(event, timeNs));
  }

  /** With the card's time of now. */
  record(event: OfCard): void {
    this.recorder.record({ ...event, card: this.id, timeNs: this.card.inspection.now() } as Unstamped);
  }

  #take(event: CardEvent, timeNs: number): void {
    switch (event.kind) {
      case 'read':
      case 'write': {
        // Part of each register access: one object, and no more.
        const { kind, region, offset, data } = event;
        return this.recorder.record({ kind, card: this.id, timeNs, region, offset, data });
      }
      case 'dma-read':
      case 'dma-write':
        this.#takeDma(event, timeNs);
        return;
      default:
        this.recorder.record({ ...event, card: this.id, timeNs });
    }
  }

  #takeDma({ kind, channel, role, iova, sizeBytes, data, error, isAsync }: DmaEvent, timeNs: number): void {
    // Part of each descriptor: properties are added where there are any, since spreading takes a tenth of a microsecond.
    const event: Mutable<Unstamped<RecordedDma>> = { kind, card: this.id, timeNs, channel, role, iova, sizeBytes };
    if (data) addPayload(event, data, this.recorder);
    if (error !== undefined) event.error = error;
    if (isAsync) event.isAsync = isAsync;
    this.recorder.record(event);
    if (kind === 'dma-read') this.#noteStale();
  }

  /** Of a card that is not coherent: how much of what it has just read differs in memory. */
  #noteStale(): void {
    const { stale = 0 } = this.card.coherence?.counts ?? {};
    if (stale > this.#stale) this.record({ kind: 'stale', sizeBytes: stale - this.#stale });
    this.#stale = stale;
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function addPayload(
  event: Mutable<Unstamped<RecordedDma>>,
  bytes: Uint8Array,
  { payloads, largestPayloadBytes }: EventSink,
): void {
  if (payloads === 'none') return;
  if (payloads === 'full' && bytes.length <= largestPayloadBytes) event.data = bytes;
  else event.hash = hash('sha256', bytes, 'hex').slice(0, 16);
}
