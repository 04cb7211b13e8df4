/** Host memory of a card that a trace drives: what the driver stored, as far as known, and what the card wrote. */
import { type Coherence, Completion, type DmaInitiator, type DmaStage, type Word } from '../../emulator/memory';
import { bytesOf } from '../../emulator/memory/word';
import { SparseMemory } from '../../emulator/memory/sparse-memory';

export class GuestMemory implements DmaStage {
  readonly memory = new SparseMemory();
  /** How many bytes the card read that the trace does not know. */
  unknownBytes = 0;

  constructor(
    /** Checks accesses; its mappings have no memory. */
    private readonly mapped: DmaStage,
    private readonly coherence: Coherence | undefined,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    if (this.coherence) this.coherence.countRead(iova, into.length, 0);
    else this.mapped.read(by, iova, into);
    this.unknownBytes += this.memory.read(iova, into);
    return Completion.DONE;
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    this.mapped.write(by, iova, this.coherence ? new Uint8Array(from.length) : from);
    this.memory.write(iova, from);
    return Completion.DONE;
  }

  store(by: DmaInitiator, iova: number, value: Word): Completion {
    this.mapped.store(by, iova, this.coherence ? (typeof value === 'bigint' ? 0n : 0) : value);
    this.memory.write(iova, bytesOf(value));
    return Completion.DONE;
  }
}
