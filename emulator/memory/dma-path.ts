/**
 * The way from the parts of a card to host memory: a chain of stages with the memory at its end. Tools insert stages (a
 * trace observes, injected faults interfere, a replay stands in for the memory); the card's model knows nothing of them.
 */
import { type Completion } from './completion';
import { type Word } from './word';

/**
 * What engines are written against. Addresses are numbers: exact below 2^53, which is beyond any address that guests and
 * IOMMUs hand out, and an engine touches one for every descriptor. The device interface and the map use bigint.
 *
 * A failure is a DmaError: thrown, where the access can be refused at once, or what the completion fails with.
 */
export interface DmaPort {
  /** Fills `into` from host memory at `iova`. Four or eight bytes at a multiple of their number are one load. */
  read(iova: number, into: Uint8Array): Completion;
  /** Writes `from` to host memory at `iova`. `from` must not change before the access is done. */
  write(iova: number, from: Uint8Array): Completion;
  /**
   * Writes one little-endian 32-bit word. `iova` is a multiple of 4. A reader that sees the new word also sees
   * everything that was written before it: this is what owner bits and write-back indexes are written with.
   */
  write32(iova: number, value: number): Completion;
  /** The same of 64 bits, `iova` a multiple of 8: a reader sees all of the word or nothing of it. */
  write64(iova: number, value: bigint): Completion;
}

/** What an access is for, as far as the card says: the ring's entries, the data, the state that is written back. */
export type DmaRole = 'descriptor' | 'data' | 'write-back' | 'other';

/** Which part of a card masters the bus, and what for. */
export interface DmaInitiator {
  /** Such as 'H2C0'; '' for a card that does not say. */
  readonly channel: string;
  readonly role: DmaRole;
}

/** A `DmaPort` that knows who asks. */
export interface DmaStage {
  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion;
  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion;
  /** `write32` of a number, `write64` of a bigint. */
  store(by: DmaInitiator, iova: number, value: Word): Completion;
}

/** What stands between a card and the world in one direction: a stage in front of a stage. Tools insert theirs. */
export class StageChain<Stage> {
  /** `top`: the stage that is called first, the last that was inserted. */
  constructor(public top: Stage) {}

  /** Puts a stage in front of all that are there. */
  insert(make: (below: Stage) => Stage): void {
    this.top = make(this.top);
  }
}

export class DmaPath extends StageChain<DmaStage> {
  /** The parts of the card that have a port, as they call themselves. */
  readonly initiators: DmaInitiator[] = [];
  readonly #memory: StageChain<DmaStage>;

  /** `observe` makes the stage right above the memory, which stays there. */
  constructor(port: DmaPort, observe: (below: DmaStage) => DmaStage) {
    const memory = new StageChain<DmaStage>(new MemoryStage(port));
    const toMemory: DmaStage = {
      read: (by, iova, into) => memory.top.read(by, iova, into),
      write: (by, iova, from) => memory.top.write(by, iova, from),
      store: (by, iova, value) => memory.top.store(by, iova, value),
    };
    super(observe(toMemory));
    this.#memory = memory;
  }

  /** The port for one part of the card. */
  port(by: DmaInitiator): DmaPort {
    this.initiators.push(by);
    return {
      read: (iova, into) => this.top.read(by, iova, into),
      write: (iova, from) => this.top.write(by, iova, from),
      write32: (iova, value) => this.top.store(by, iova, value),
      write64: (iova, value) => this.top.store(by, iova, value),
    };
  }

  /** Inserts a stage below all others: it sees what reaches host memory, or answers in its place. */
  insertAtMemory(make: (memory: DmaStage) => DmaStage): void {
    this.#memory.insert(make);
  }
}

class MemoryStage implements DmaStage {
  constructor(private readonly port: DmaPort) {}

  read(_by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    return this.port.read(iova, into);
  }

  write(_by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    return this.port.write(iova, from);
  }

  store(_by: DmaInitiator, iova: number, value: Word): Completion {
    return typeof value === 'bigint' ? this.port.write64(iova, value) : this.port.write32(iova, value);
  }
}
