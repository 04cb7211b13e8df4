/** One DMA access of a card as an object, which a fault can delay, change or repeat. */
import {
  type Completion,
  DmaError,
  type DmaInitiator,
  type DmaStage,
  type PendingCompletion,
} from '../../emulator/memory';
import { bytesOf, wordOf } from '../../emulator/memory/word';

export class DmaCall {
  constructor(
    private readonly below: DmaStage,
    readonly access: 'read' | 'write',
    readonly by: DmaInitiator,
    readonly iova: number,
    readonly bytes: Uint8Array,
    /** It is a `write32` or a `write64`. */
    private readonly isWord = false,
  ) {}

  perform(): Completion {
    const { below, by, iova, bytes } = this;
    if (this.access === 'read') return below.read(by, iova, bytes);
    if (!this.isWord) return below.write(by, iova, bytes);
    return below.store(by, iova, wordOf(bytes));
  }

  /** Performs an access that the card takes for done: a failure is in the trace, and not reported to the card. */
  performQuietly(): void {
    try {
      this.perform();
    } catch (error) {
      if (!(error instanceof DmaError)) throw error;
    }
  }

  /** It fails, as it does when the card is reset while it is under way. */
  abort(completion: PendingCompletion): void {
    completion.fail(new DmaError('reset', this.access, this.iova, this.bytes.length));
  }

  /** The same with a copy of the bytes: the card may change its own. */
  kept(): DmaCall {
    return new DmaCall(this.below, this.access, this.by, this.iova, this.bytes.slice(), this.isWord);
  }

  /** Its first bytes. */
  first(count: number): DmaCall {
    return new DmaCall(this.below, this.access, this.by, this.iova, this.bytes.subarray(0, count));
  }

  /** What a driver polls in memory: descriptors that are handed back, and the write-back block. */
  get isCompletion(): boolean {
    return this.access === 'write' && (this.by.role === 'descriptor' || this.by.role === 'write-back');
  }

  /** `DMA read of 64 bytes at 0x1000 by H2C0` */
  toString(): string {
    const { access, by, iova, bytes } = this;
    const who = by.channel === '' ? '' : ` by ${by.channel}`;
    return `DMA ${access} of ${bytes.length} bytes at 0x${iova.toString(16)}${who}`;
  }
}

/** A stage that handles reads, writes and writes of words in one function. */
export function splitDma(below: DmaStage, act: (call: DmaCall) => Completion): DmaStage {
  return {
    read: (by, iova, into) => act(new DmaCall(below, 'read', by, iova, into)),
    write: (by, iova, from) => act(new DmaCall(below, 'write', by, iova, from)),
    store: (by, iova, value) => act(new DmaCall(below, 'write', by, iova, bytesOf(value), true)),
  };
}
