/**
 * A card as tools see it from outside (a trace, faults, a replay, the matchers of a test): its registers by BAR, its
 * time, and what it does that does not cross the seam. The card's model knows nothing of being looked at.
 */
import { type CardClock } from '../clock';
import { DmaError, type DmaInitiator, type DmaPath, type DmaStage } from '../memory';
import { type RegisterFile, type RegisterMap } from '../registers';
import { type ConfigStructure } from './config-space';
import { type InterruptPath } from './interrupt-path';
import { type HeldReason } from './irq-index';
import { type ResetKind } from './pci-function';

export interface CardObserver {
  /**
   * Host memory has been accessed; or it was not, and `error` says why. `bytes` are those moved, valid during the call;
   * `isAsync`: they went by message, and this comes when it is done.
   */
  dma(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    error?: DmaError,
    isAsync?: boolean,
  ): void;
  /** The function is about to be reset. */
  reset(kind: ResetKind): void;
  /** The card wants an interrupt of this index (INTx 0, MSI 1, MSI-X 2), or has let go of INTx. */
  raised(index: number, vector: number): void;
  lowered(): void;
  /** An interrupt cannot go out now. */
  held(index: number, vector: number, reason: HeldReason): void;
  /** A part of the card has changed its state. */
  state(part: string, state: string): void;
}

export const unobserved: CardObserver = {
  dma: () => {},
  reset: () => {},
  raised: () => {},
  lowered: () => {},
  held: () => {},
  state: () => {},
};

/** What of a card's BARs is no register of its author's. */
export interface BarContents {
  /** Table and pending bits of MSI-X. */
  readonly msix?: { readonly bar: number; readonly map: RegisterMap };
  /** Memory of the card, and tables that are only read. */
  readonly memory: readonly { readonly bar: number; readonly offset: number; readonly sizeBytes: number }[];
}

export class CardInspection {
  /** Is told what the card does; one at a time. */
  observer: CardObserver = unobserved;
  /** For what stands in the card's way: whatever it holds back is lost in a reset. */
  onReset: () => void = () => {};
  /** The card must not be used any more. */
  isClosed = false;

  constructor(
    readonly clock: CardClock,
    /** By the index of the BAR that shows them. */
    readonly registerFiles: ReadonlyMap<number, RegisterFile>,
    readonly configStructures: readonly ConfigStructure[],
    /** What the card's DMA goes through: where tools put stages in. */
    readonly dma: DmaPath,
    /** The same for its interrupts. */
    readonly interrupts: InterruptPath,
    /** To be asked for when the card has been made. */
    readonly contents: () => BarContents,
  ) {}

  /** Device time in nanoseconds. */
  now(): number {
    return this.clock.now();
  }
}

/** The stage of a card's DMA path that tells the observer what goes through it. */
export class ObservedDma implements DmaStage {
  readonly #word = new DataView(new ArrayBuffer(4));
  readonly #wordBytes = new Uint8Array(this.#word.buffer);

  constructor(
    private readonly below: DmaStage,
    private readonly observed: () => CardObserver,
    private readonly clock: Pick<CardClock, 'settle'>,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Promise<void> | undefined {
    try {
      return this.#done('read', by, iova, into, this.below.read(by, iova, into));
    } catch (error) {
      this.#failed('read', by, iova, into, error);
      throw error;
    }
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Promise<void> | undefined {
    try {
      return this.#done('write', by, iova, from, this.below.write(by, iova, from));
    } catch (error) {
      this.#failed('write', by, iova, from, error);
      throw error;
    }
  }

  write32(by: DmaInitiator, iova: number, value: number): Promise<void> | undefined {
    try {
      const pending = this.below.write32(by, iova, value);
      return this.#done('write', by, iova, this.#bytesOf(value, pending !== undefined), pending);
    } catch (error) {
      this.#failed('write', by, iova, this.#bytesOf(value, false), error);
      throw error;
    }
  }

  #bytesOf(value: number, isAsync: boolean): Uint8Array {
    this.#word.setUint32(0, value, true);
    return isAsync ? this.#wordBytes.slice() : this.#wordBytes;
  }

  #done(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    pending: Promise<void> | undefined,
  ): Promise<void> | undefined {
    if (pending === undefined) {
      this.observed().dma(access, by, iova, bytes);
      return undefined;
    }
    const settled = new Promise<void>((resolve, reject) => {
      pending.then(
        () =>
          this.clock.settle(() => {
            this.observed().dma(access, by, iova, bytes, undefined, true);
            resolve();
          }),
        (error: Error) =>
          this.clock.settle(() => {
            this.#failed(access, by, iova, bytes, error, true);
            reject(error);
          }),
      );
    });
    // A card may choose not to wait (a posted write): a refusal then concerns nobody, and must not end the process.
    settled.catch(() => {});
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
    if (error instanceof DmaError) this.observed().dma(access, by, iova, bytes, error, isAsync);
  }
}
