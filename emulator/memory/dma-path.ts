/**
 * The way from the parts of a card to host memory: a stage below a stage, the memory at the bottom. Tools put stages in
 * (a trace that looks on, faults that interfere, a replay in place of the memory); the card's model knows nothing of it.
 */
import { type DmaPort } from './dma-port';

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
  read(by: DmaInitiator, iova: number, into: Uint8Array): Promise<void> | undefined;
  write(by: DmaInitiator, iova: number, from: Uint8Array): Promise<void> | undefined;
  write32(by: DmaInitiator, iova: number, value: number): Promise<void> | undefined;
}

export class DmaPath {
  /** The parts of the card that have a port, as they call themselves. */
  readonly initiators: DmaInitiator[] = [];
  #top: DmaStage;
  #memory: DmaStage;

  /** `look` is put right above the memory, and stays there. */
  constructor(memory: DmaPort, look: (below: DmaStage) => DmaStage) {
    this.#memory = new MemoryStage(memory);
    this.#top = look({
      read: (by, iova, into) => this.#memory.read(by, iova, into),
      write: (by, iova, from) => this.#memory.write(by, iova, from),
      write32: (by, iova, value) => this.#memory.write32(by, iova, value),
    });
  }

  /** The port for one part of the card. */
  port(by: DmaInitiator): DmaPort {
    this.initiators.push(by);
    return {
      read: (iova, into) => this.#top.read(by, iova, into),
      write: (iova, from) => this.#top.write(by, iova, from),
      write32: (iova, value) => this.#top.write32(by, iova, value),
    };
  }

  /** Puts a stage between the card and everything that has been there before. */
  insert(make: (below: DmaStage) => DmaStage): void {
    this.#top = make(this.#top);
  }

  /** Something else answers in place of host memory. */
  replaceMemory(make: (memory: DmaStage) => DmaStage): void {
    this.#memory = make(this.#memory);
  }
}

class MemoryStage implements DmaStage {
  constructor(private readonly port: DmaPort) {}

  read(_by: DmaInitiator, iova: number, into: Uint8Array): Promise<void> | undefined {
    return this.port.read(iova, into);
  }

  write(_by: DmaInitiator, iova: number, from: Uint8Array): Promise<void> | undefined {
    return this.port.write(iova, from);
  }

  write32(_by: DmaInitiator, iova: number, value: number): Promise<void> | undefined {
    return this.port.write32(iova, value);
  }
}
