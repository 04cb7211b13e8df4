/**
 * A card as tools see it (a trace, injected faults, a replay, the matchers of a test): its registers by BAR, its time, the
 * events of it, and the places where something can be put between it and the world. The card's model knows nothing of it.
 */
import { type CardClock } from '../clock';
import { type AddressMap, type DmaPort, type DmaPath } from '../memory';
import { type RegisterFile, type RegisterMap } from '../registers';
import { type CardEvents } from './card-events';
import { type ConfigStructure } from './config-space';
import { type InterruptPath } from './interrupt-path';
import { type ObservedDevice } from './observed-device';

/** What of a card's BARs is no register of its author's. */
export interface BarContents {
  /** Table and pending bits of MSI-X. */
  readonly msix?: { readonly bar: number; readonly map: RegisterMap };
  /** Memory of the card, and tables that are only read. */
  readonly memory: readonly { readonly bar: number; readonly offset: number; readonly sizeBytes: number }[];
}

export class CardInspection {
  #isDriven = false;
  /** For what stands in the card's way: whatever it holds back is lost in a reset. */
  onReset: () => void = () => {};
  /** The card must not be used any more. */
  isClosed = false;

  constructor(
    readonly clock: CardClock,
    /** What is done to the card and what it does, as it happens. */
    readonly events: CardEvents,
    /** Called before the card is driven for the first time. */
    private readonly onFirstDriven: () => void,
    private readonly front: ObservedDevice,
    /** By the index of the BAR that shows them. */
    readonly registerFiles: ReadonlyMap<number, RegisterFile>,
    readonly configStructures: readonly ConfigStructure[],
    /** What the card's DMA goes through: where tools put stages in. */
    readonly dma: DmaPath,
    /** The same for its interrupts. */
    readonly interrupts: InterruptPath,
    /** Host memory as the client has mapped it, whatever Bus Master Enable says. */
    private readonly memory: { readonly map: AddressMap; readonly port: DmaPort },
    /** To be asked for when the card has been made. */
    readonly contents: () => BarContents,
  ) {}

  /** What a client of the card drives. */
  get device(): ObservedDevice {
    if (!this.#isDriven) {
      this.#isDriven = true;
      this.onFirstDriven();
    }
    return this.front;
  }

  /** Device time in nanoseconds. */
  now(): number {
    return this.clock.now();
  }

  /** What host memory holds now; undefined where it is not mapped, or can be reached by message only. */
  hostMemory(iova: number, sizeBytes: number): Uint8Array | undefined {
    const bytes = new Uint8Array(sizeBytes);
    try {
      const isThere = this.memory.map.find(iova)?.bytes !== undefined;
      return isThere && this.memory.port.read(iova, bytes).isDone ? bytes : undefined;
    } catch {
      return undefined;
    }
  }
}
