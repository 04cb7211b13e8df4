/** Host memory as the trace knows it: reads are given what they were given then, writes go nowhere. */
import {
  type Coherence,
  Completion,
  DmaError,
  type DmaInitiator,
  type DmaStage,
  type Word,
} from '../../emulator/memory';
import { bytesOf } from '../../emulator/memory/word';
import { type TraceEvent } from '../trace';
import { type Comparison } from './comparison';

export class RecordedMemory implements DmaStage {
  constructor(
    /** Checks accesses and keeps the books of a card that is not coherent; behind its mappings is nothing. */
    private readonly mapped: DmaStage,
    private readonly comparison: Comparison,
    private readonly coherence: Coherence | undefined,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    const known = this.comparison.dma('read', by, iova, into);
    if (known === undefined) {
      const what = {
        card: 0,
        timeNs: this.comparison.timeNs,
        kind: 'dma-read',
        ...by,
        iova,
        sizeBytes: into.length,
      } as const;
      this.comparison.diverge({ seen: what });
      return Completion.DONE;
    }
    const { next } = known;
    if (known.later) return known.later.andThen(() => this.#count(iova, into, next));
    const { event } = known;
    if (event.error) this.#refuse('read', by, iova, into, event.error);
    this.#count(iova, into, next);
    into.set(event.data!);
    return Completion.DONE;
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    const known = this.comparison.dma('write', by, iova, from);
    if (known?.later) return known.later;
    if (known?.event.error) this.#refuse('write', by, iova, from, known.event.error);
    if (known && this.coherence) this.mapped.write(by, iova, new Uint8Array(from.length));
    return Completion.DONE;
  }

  store(by: DmaInitiator, iova: number, value: Word): Completion {
    const bytes = bytesOf(value);
    if (iova % bytes.length !== 0) return this.mapped.store(by, iova, value); // which throws
    return this.write(by, iova, bytes);
  }

  /** Keeps the books of a card that is not coherent. `next`: what the trace has after the read. */
  #count(iova: number, { length }: Uint8Array, next: TraceEvent | undefined): void {
    this.coherence?.countRead(iova, length, next?.kind === 'stale' ? next.sizeBytes : 0);
  }

  /** Throws what the mappings say, which know the first address that is refused, or else what the trace says. */
  #refuse(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    reason: DmaError['reason'],
  ): never {
    try {
      this.mapped[access](by, iova, new Uint8Array(bytes.length));
    } catch (error) {
      if (error instanceof DmaError && error.reason === reason) throw error;
    }
    throw new DmaError(reason, access, iova, bytes.length);
  }
}
