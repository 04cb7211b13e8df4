/**
 * A card as tools see it from outside (a trace, the matchers of a test): its registers by BAR, its time, and what it does
 * that does not cross the seam: DMA through its port, and resets that a driver asks for in configuration space.
 * The card's model knows nothing of being looked at.
 */
import { type Clock } from '../clock';
import { DmaError, type DmaPort } from '../memory';
import { type RegisterFile } from '../registers';
import { type ConfigStructure } from './config-space';
import { type ResetKind } from './pci-function';

export interface CardObserver {
  /** Host memory has been accessed; or it was not, and `error` says why. */
  dma(access: 'read' | 'write', iova: number, sizeBytes: number, error?: DmaError): void;
  /** The function is about to be reset. */
  reset(kind: ResetKind): void;
}

const unobserved: CardObserver = { dma: () => {}, reset: () => {} };

export class CardInspection {
  /** Is told what the card does; one at a time. */
  observer: CardObserver = unobserved;

  constructor(
    private readonly clock: Clock,
    /** By the index of the BAR that shows them. */
    readonly registerFiles: ReadonlyMap<number, RegisterFile>,
    readonly configStructures: readonly ConfigStructure[],
  ) {}

  /** Device time in nanoseconds. */
  now(): number {
    return this.clock.now();
  }

  /** The same for records that come in thousands: see `Clock.stamp`. */
  stamp(): number {
    return this.clock.stamp?.() ?? this.clock.now();
  }
}

/** The port that a card is given: tells the observer what goes through it. */
export class ObservedDma implements DmaPort {
  constructor(
    private readonly port: DmaPort,
    private readonly inspection: CardInspection,
  ) {}

  read(iova: number, into: Uint8Array): Promise<void> | undefined {
    try {
      return this.#done('read', iova, into.length, this.port.read(iova, into));
    } catch (error) {
      this.#failed('read', iova, into.length, error);
      throw error;
    }
  }

  write(iova: number, from: Uint8Array): Promise<void> | undefined {
    try {
      return this.#done('write', iova, from.length, this.port.write(iova, from));
    } catch (error) {
      this.#failed('write', iova, from.length, error);
      throw error;
    }
  }

  write32(iova: number, value: number): Promise<void> | undefined {
    try {
      return this.#done('write', iova, 4, this.port.write32(iova, value));
    } catch (error) {
      this.#failed('write', iova, 4, error);
      throw error;
    }
  }

  #done(access: 'read' | 'write', iova: number, sizeBytes: number, pending: Promise<void> | undefined) {
    const { observer } = this.inspection;
    if (pending === undefined) observer.dma(access, iova, sizeBytes);
    else {
      pending.then(
        () => observer.dma(access, iova, sizeBytes),
        (error: unknown) => this.#failed(access, iova, sizeBytes, error),
      );
    }
    return pending;
  }

  #failed(access: 'read' | 'write', iova: number, sizeBytes: number, error: unknown): void {
    if (error instanceof DmaError) this.inspection.observer.dma(access, iova, sizeBytes, error);
  }
}
