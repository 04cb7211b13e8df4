/**
 * The DmaPort of a card without hardware coherence: a decorator that lets the card see a DeviceView in place of memory,
 * and the two calls by which a driver synchronises. What the card may access at all is asked of the port behind it.
 *
 * Synchronising is the processor's doing: it needs no bus mastering.
 */
import { Completion } from './completion';
import { type DmaAccess } from './dma-access';
import { DmaError } from './dma-error';
import { type DmaPort } from './dma-path';
import { bytesOf, checkAlignment, type Word } from './word';
import { DeviceView, ViewLimitError, type ViewCounts, wholeLines } from './device-view';

/** What a driver may request of a card's coherence, by whatever registers. */
export interface Coherence {
  /** What has gone by so far, in bytes; resets leave it alone, but for `awaitingCpu`. */
  readonly counts: {
    /** Read by the device where nothing had ever been synchronised for it. */
    readonly neverSynchronised: number;
    /** Read by the device as they had been synchronised, and others in memory. */
    readonly stale: number;
    /** Written by the device, and replaced by a synchronisation for the device, unseen by the processor. */
    readonly overwritten: number;
    /** Written by the device, and not synchronised for the processor yet. */
    readonly awaitingCpu: number;
  };
  /** First address of the last read that was given anything stale or never synchronised. */
  readonly lastBadRead: number | undefined;
  /** The device sees what is in memory now. Throws DmaError. */
  synchroniseForDevice(address: number, sizeBytes: number): Completion;
  /** What the device has written is in memory. Throws DmaError. */
  synchroniseForCpu(address: number, sizeBytes: number): Completion;
  /** The device has no view of anything any more, and what it has written is lost: for resets. */
  clear(): void;
  /** @internal For a replay, behind whose view is nothing: the card has read, and so much of it was stale. */
  countRead(address: number, sizeBytes: number, staleBytes: number): void;
}

/** Enough for every buffer of a guest of the usual size. */
export const DEFAULT_VIEW_LIMIT_BYTES = 256 << 20;

export class NonCoherentDma implements DmaPort, Coherence {
  readonly #view: DeviceView;

  /** `port`: what the card would access without this. `memory`: the same memory, as the processor reaches it. */
  constructor(
    private readonly port: DmaAccess,
    private readonly memory: DmaAccess,
    limitBytes: number = DEFAULT_VIEW_LIMIT_BYTES,
  ) {
    this.#view = new DeviceView(limitBytes);
  }

  get counts(): Readonly<ViewCounts> {
    return this.#view.counts;
  }

  get lastBadRead(): number | undefined {
    return this.#view.lastBadRead;
  }

  read(iova: number, into: Uint8Array): Completion {
    return this.port.read(iova, into).andThen(() => this.#view.read(iova, into));
  }

  write(iova: number, from: Uint8Array): Completion {
    this.port.check('write', iova, from.length);
    this.#reserve('write', iova, from.length);
    this.#view.write(iova, from);
    return Completion.DONE;
  }

  write32(iova: number, value: number): Completion {
    return this.#store(iova, value);
  }

  write64(iova: number, value: bigint): Completion {
    return this.#store(iova, value);
  }

  synchroniseForDevice(address: number, sizeBytes: number): Completion {
    const lines = wholeLines(address, sizeBytes);
    this.memory.check('read', lines.address, lines.sizeBytes);
    this.#reserve('read', lines.address, lines.sizeBytes);
    const today = new Uint8Array(lines.sizeBytes);
    return this.memory.read(lines.address, today).andThen(() => this.#view.takeForDevice(lines.address, today));
  }

  synchroniseForCpu(address: number, sizeBytes: number): Completion {
    const lines = wholeLines(address, sizeBytes);
    this.memory.check('write', lines.address, lines.sizeBytes);
    let all = Completion.DONE;
    this.#view.giveToCpu(lines.address, lines.sizeBytes, (at, bytes) => {
      const written = this.memory.write(at, bytes);
      all = all.andThen(() => written);
    });
    return all;
  }

  countRead(address: number, sizeBytes: number, staleBytes: number): void {
    this.#view.read(address, new Uint8Array(sizeBytes));
    if (staleBytes === 0) return;
    this.#view.counts.stale += staleBytes;
    this.#view.lastBadRead = address;
  }

  /** The memory of a range is mapped no longer. */
  unmapped(address: number, sizeBytes: number): void {
    this.#view.drop(address, sizeBytes);
  }

  clear(): void {
    this.memory.drop();
    this.#view.clear();
  }

  #store(iova: number, value: Word): Completion {
    checkAlignment(iova, value);
    return this.write(iova, bytesOf(value));
  }

  #reserve(access: 'read' | 'write', iova: number, sizeBytes: number): void {
    try {
      this.#view.reserve(iova, sizeBytes);
    } catch (error) {
      if (!(error instanceof ViewLimitError)) throw error;
      throw new DmaError('view-full', access, iova, sizeBytes, error.message);
    }
  }
}
