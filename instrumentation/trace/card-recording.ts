/** What a card does and what is done to it, as events for the recorder. */
import { hash } from 'node:crypto';
import { type DmaError, type DmaInitiator } from '../../emulator/memory';
import { type HeldReason, type PciCard, type ResetKind } from '../../emulator/pci';
import { type DmaMapping, type SetIrqs } from '../../emulator/device';
import { describeCard } from './card-description';
import { type InterruptPhase } from './event';
import { type TraceRecorder, type Unstamped } from './recorder';

export interface RecordCardOptions {
  /** What the card is called in the trace. */
  readonly name: string;
  /** The faults that were declared for it, to be written down. */
  readonly faults?: readonly unknown[];
  /** Its client is shown no windows anyway. Default false. */
  readonly hidesWindows?: boolean;
}

/** Where events of cards go: a recorder, or a replay that compares them. The `data` of one is valid during the call only. */
export type EventSink = Pick<
  TraceRecorder,
  'payloads' | 'largestPayloadBytes' | 'unmapsWindows' | 'nextCard' | 'record'
>;

/** An event without what is the same for all of a card. */
type OfCard<E = Unstamped> = E extends Unstamped ? Omit<E, 'card' | 'timeNs'> : never;

export class CardRecording {
  readonly unmapsWindows: boolean;
  /** The card's number in the trace. */
  readonly id: number;
  /** What the card has read up to now that was stale, in bytes. */
  #stale: number;

  constructor(
    private readonly card: PciCard,
    private readonly recorder: EventSink,
    options: RecordCardOptions,
  ) {
    this.unmapsWindows = recorder.unmapsWindows;
    this.id = recorder.nextCard();
    this.#stale = card.coherence?.counts.stale ?? 0;
    const unmapsWindows = this.unmapsWindows || options.hidesWindows === true;
    this.record({ kind: 'card', description: describeCard(card, { ...options, unmapsWindows }) });
  }

  /** With the card's time of now. */
  record(event: OfCard): void {
    this.recorder.record({ ...event, card: this.id, timeNs: this.#now() } as Unstamped);
  }

  access(kind: 'read' | 'write', region: number, offset: number, data: Uint8Array): void {
    // Part of each register access: one object, and no more.
    this.recorder.record({ kind, card: this.id, timeNs: this.#now(), region, offset, data });
  }

  dma(
    access: 'read' | 'write',
    { channel, role }: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    error: DmaError | undefined,
    isAsync: boolean,
  ): void {
    this.recorder.record({
      kind: access === 'read' ? 'dma-read' : 'dma-write',
      card: this.id,
      timeNs: this.#now(),
      channel,
      role,
      iova,
      sizeBytes: bytes.length,
      ...(error ? { error: error.reason } : payloadOf(bytes, this.recorder)),
      ...(isAsync && { isAsync }),
    });
    if (access === 'read') this.#noteStale();
  }

  /** Of a card that is not coherent: how much of what it has just read is others in memory. */
  #noteStale(): void {
    const { stale = 0 } = this.card.coherence?.counts ?? {};
    if (stale > this.#stale) this.record({ kind: 'stale', sizeBytes: stale - this.#stale });
    this.#stale = stale;
  }

  map({ iova, sizeBytes, readable, writable }: DmaMapping): void {
    this.record({ kind: 'map', iova: Number(iova), sizeBytes: Number(sizeBytes), readable, writable });
  }

  unmap(iova: bigint, sizeBytes: bigint): void {
    this.record({ kind: 'unmap', iova: Number(iova), sizeBytes: Number(sizeBytes) });
  }

  irqSetup({ index, start, count, action }: SetIrqs): void {
    const vectors = action.kind === 'sinks' ? action.sinks.map((sink) => sink !== undefined) : action.vectors;
    this.record({ kind: 'irq-setup', index, start, count, action: action.kind, ...(vectors && { vectors }) });
  }

  interrupt(phase: InterruptPhase, index: number, vector: number, reason?: HeldReason): void {
    this.record({ kind: 'interrupt', phase, index, vector, ...(reason && { reason }) });
  }

  reset(reset: ResetKind | 'other'): void {
    this.record({ kind: 'reset', reset });
  }

  state(part: string, state: string): void {
    this.record({ kind: 'state', part, state });
  }

  task(): void {
    this.record({ kind: 'task' });
  }

  nested(): void {
    this.record({ kind: 'nested' });
  }

  linkDown(): void {
    this.record({ kind: 'link-down' });
  }

  fault(fault: string, what: string): void {
    this.record({ kind: 'fault', fault, what });
  }

  connection(kind: 'connected' | 'disconnected'): void {
    this.record({ kind });
  }

  #now(): number {
    return this.card.inspection.now();
  }
}

function payloadOf(bytes: Uint8Array, { payloads, largestPayloadBytes }: EventSink) {
  if (payloads === 'none') return {};
  if (payloads === 'full' && bytes.length <= largestPayloadBytes) return { data: bytes };
  return { hash: hash('sha256', bytes, 'hex').slice(0, 16) };
}
