/** Publishes a card's accesses to host memory. */
import { type CardClock } from '../clock';
import {
  type Completion,
  DmaError,
  type DmaErrorReason,
  type DmaInitiator,
  type DmaStage,
  PendingCompletion,
  type Word,
} from '../memory';
import { bytesOf, WordBytes } from '../memory/word';
import { type CardEvents, type DmaEvent } from './card-events';

type Payload = Omit<DmaEvent, 'data'> & { data: Uint8Array | undefined };

/** The stage of a card's DMA path that publishes each access when it has completed or failed. */
export class ObservedDma implements DmaStage {
  /** What has just been stored: an event's payload is valid only during the call. */
  readonly #stored = new WordBytes();

  constructor(
    private readonly below: DmaStage,
    private readonly events: CardEvents,
    private readonly clock: Pick<CardClock, 'settle'>,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    try {
      return this.#done('read', by, iova, into, this.below.read(by, iova, into));
    } catch (error) {
      this.#failed('read', by, iova, into, error);
      throw error;
    }
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    try {
      return this.#done('write', by, iova, from, this.below.write(by, iova, from));
    } catch (error) {
      this.#failed('write', by, iova, from, error);
      throw error;
    }
  }

  store(by: DmaInitiator, iova: number, value: Word): Completion {
    try {
      const completion = this.below.store(by, iova, value);
      return this.#done('write', by, iova, this.#bytesOf(value, !completion.isDone), completion);
    } catch (error) {
      this.#failed('write', by, iova, this.#bytesOf(value, false), error);
      throw error;
    }
  }

  #bytesOf(value: Word, isAsync: boolean): Uint8Array {
    return isAsync ? bytesOf(value) : this.#stored.of(value);
  }

  #done(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    completion: Completion,
  ): Completion {
    if (completion.isDone) {
      this.#publish(access, by, iova, bytes, undefined, false);
      return completion;
    }
    const settled = new PendingCompletion();
    completion.onSettled(
      () =>
        this.clock.settle(() => {
          this.#publish(access, by, iova, bytes, undefined, true);
          settled.finish();
        }),
      (error) =>
        this.clock.settle(() => {
          this.#failed(access, by, iova, bytes, error, true);
          settled.fail(error);
        }),
    );
    return settled;
  }

  #failed(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    error: unknown,
    isAsync = false,
  ): void {
    if (error instanceof DmaError) this.#publish(access, by, iova, bytes, error.reason, isAsync);
  }

  /** Allocates one object for each access only: every DMA passes here. */
  #publish(
    access: 'read' | 'write',
    { channel, role }: DmaInitiator,
    iova: number,
    data: Uint8Array,
    error: DmaErrorReason | undefined,
    isAsync: boolean,
  ): void {
    const kind = access === 'read' ? 'dma-read' : 'dma-write';
    const sizeBytes = data.length;
    if (error !== undefined) {
      this.events.publish({ kind, channel, role, iova, sizeBytes, error, ...(isAsync && { isAsync }) });
    } else {
      const event: Payload = isAsync
        ? { kind, channel, role, iova, sizeBytes, data, isAsync }
        : { kind, channel, role, iova, sizeBytes, data };
      this.events.publish(event as DmaEvent);
      event.data = undefined; // a subscriber that keeps the event must not keep the payload, which the engine owns
    }
  }
}
