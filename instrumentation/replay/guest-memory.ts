/** Host memory of a card that a trace drives: what the driver stored, as far as known, and what the card wrote. */
import { type Coherence, Completion, type DmaInitiator, type DmaStage } from '../../emulator/memory';
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

  write32(by: DmaInitiator, iova: number, value: number): Completion {
    this.mapped.write32(by, iova, this.coherence ? 0 : value);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.memory.write(iova, bytes);
    return Completion.DONE;
  }
}
