/**
 * A card as tools see it (traces, injected faults, replay, test matchers): its registers by BAR, its time, its events, and
 * the paths into which tools insert stages. The card's model does not know about it.
 */
import { type CardClock } from '../clock';
import { type AddressMap, type DmaPort, type DmaPath, type MappedRange } from '../memory';
import { type RegisterFile, type RegisterMap, type ResetKind } from '../registers';
import { type CardEvents } from './card-events';
import { type ConfigStructure } from './config-space';
import { type DmaChannelDescription } from './dma-channels';
import { type ErrorReporting } from './error-reporting';
import { type InterruptPath } from './interrupt-path';
import { type ObservedDevice } from './observed-device';

/** The contents of a card's BARs other than its author's registers. */
export interface BarContents {
  /** Table and pending bits of MSI-X; empty without MSI-X. */
  readonly msix: readonly { readonly bar: number; readonly offset: number; readonly map: RegisterMap }[];
  /** Memory of the card, read-only tables, and the expansion ROM (`bar` 6, VFIO's region). */
  readonly memory: readonly { readonly bar: number; readonly offset: number; readonly sizeBytes: number }[];
}

export class CardInspection {
  #isDriven = false;
  readonly #resets = new Map<ResetKind, number>();
  /** Called on a reset, so that inserted stages discard what they hold back. */
  onReset: (kind: ResetKind) => void = () => {};
  /** The card must not be used any more. */
  isClosed = false;
  /** Whether what the card has written to memory is there when its interrupt arrives. */
  interruptsPushWrites = true;

  constructor(
    readonly clock: CardClock,
    /** Accesses to the card and their effects, as they happen. */
    readonly events: CardEvents,
    /** Called before the card is driven for the first time. */
    private readonly onFirstDriven: () => void,
    private readonly front: ObservedDevice,
    /** By the index of the BAR that shows them. */
    readonly registerFiles: ReadonlyMap<number, RegisterFile>,
    private readonly structures: () => readonly ConfigStructure[],
    /** The path of the card's DMA, into which tools insert stages. */
    readonly dma: DmaPath,
    /** The path of its interrupts. */
    readonly interrupts: InterruptPath,
    /** Host memory as the client has mapped it, regardless of Bus Master Enable. */
    private readonly memory: { readonly map: AddressMap; readonly port: DmaPort },
    /** To be called once the card has been constructed. */
    readonly contents: () => BarContents,
    /** What detects errors of the bus; absent in a card without Advanced Error Reporting. */
    readonly errors: ErrorReporting | undefined,
    /** The DMA channels that the card declares. To be called once the card has been constructed. */
    readonly channels: () => readonly DmaChannelDescription[],
  ) {}

  get configStructures(): readonly ConfigStructure[] {
    return this.structures();
  }

  /** The device that a client of the card drives. */
  get device(): ObservedDevice {
    if (!this.#isDriven) {
      this.#isDriven = true;
      this.onFirstDriven();
    }
    return this.front;
  }

  /** To be called by the card in each reset. */
  countReset(kind: ResetKind): void {
    if (!this.isClosed) this.#resets.set(kind, this.resets(kind) + 1);
    this.onReset(kind);
  }

  /** How many resets of a kind there have been, the present one included. */
  resets(kind: ResetKind): number {
    return this.#resets.get(kind) ?? 0;
  }

  /** Device time in nanoseconds. */
  now(): number {
    return this.clock.now();
  }

  /** The memory that the client has mapped at an address, in place; undefined where it has mapped none. */
  mappedAt(iova: number): MappedRange | undefined {
    return this.memory.map.find(iova);
  }

  /** The current contents of host memory; undefined where it is not mapped or accessible by message only. */
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
