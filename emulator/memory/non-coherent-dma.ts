/**
 * The DmaPort of a card without hardware coherence: a decorator that lets the card see a DeviceView in place of memory,
 * and the two calls by which a driver synchronises. What the card may access at all is asked of the port behind it.
 *
 * Synchronising is the processor's doing: it needs no bus mastering.
 */
import { type DmaAccess } from './dma-access';
import { DmaError } from './dma-error';
import { type DmaPort } from './dma-port';
import { DeviceView, ViewLimitError, type ViewCounts, wholeLines } from './device-view';

/** What a driver may ask of a card's coherence, whatever registers it is asked by. */
export interface Coherence {
  /** What has gone by so far; resets leave it alone, but for `awaitingCpu`. */
  readonly counts: Readonly<ViewCounts>;
  /** First address of the last read that was given anything stale or never synchronised. */
  readonly lastBadRead: number | undefined;
  /** The device sees what is in memory now. A promise where memory can be reached by message only. Throws DmaError. */
  synchroniseForDevice(address: number, sizeBytes: number): Promise<void> | undefined;
  /** What the device has written is in memory. A promise where memory can be reached by message only. Throws DmaError. */
  synchroniseForCpu(address: number, sizeBytes: number): Promise<void> | undefined;
  /** The device has no view of anything any more, and what it has written is lost: for resets. */
  clear(): void;
  /** For a replay, behind whose view is nothing: the card has read, and so much of it was stale. */
  countRead(address: number, sizeBytes: number, staleBytes: number): void;
}

/** Enough for every buffer of a guest of the usual size. */
export const DEFAULT_VIEW_LIMIT_BYTES = 256 << 20;

export class NonCoherentDma implements DmaPort, Coherence {
  readonly #view: DeviceView;
  readonly #word = new Uint8Array(4);

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

  read(iova: number, into: Uint8Array): Promise<void> | undefined {
    const pending = this.port.read(iova, into);
    if (pending) return unattended(pending.then(() => this.#view.read(iova, into)));
    this.#view.read(iova, into);
    return undefined;
  }

  write(iova: number, from: Uint8Array): undefined {
    this.port.check('write', iova, from.length);
    this.#reserve('write', iova, from.length);
    this.#view.write(iova, from);
  }

  write32(iova: number, value: number): undefined {
    if (iova % 4 !== 0) throw new RangeError(`write32 at 0x${iova.toString(16)}: the address must be a multiple of 4`);
    new DataView(this.#word.buffer).setUint32(0, value, true);
    this.write(iova, this.#word);
  }

  synchroniseForDevice(address: number, sizeBytes: number): Promise<void> | undefined {
    const lines = wholeLines(address, sizeBytes);
    this.memory.check('read', lines.address, lines.sizeBytes);
    this.#reserve('read', lines.address, lines.sizeBytes);
    const today = new Uint8Array(lines.sizeBytes);
    const pending = this.memory.read(lines.address, today);
    if (pending) return unattended(pending.then(() => this.#view.takeForDevice(lines.address, today)));
    this.#view.takeForDevice(lines.address, today);
    return undefined;
  }

  synchroniseForCpu(address: number, sizeBytes: number): Promise<void> | undefined {
    const lines = wholeLines(address, sizeBytes);
    this.memory.check('write', lines.address, lines.sizeBytes);
    const pending: Promise<void>[] = [];
    this.#view.giveToCpu(lines.address, lines.sizeBytes, (at, bytes) => {
      const written = this.memory.write(at, bytes);
      if (written) pending.push(written);
    });
    return pending.length === 0 ? undefined : unattended(Promise.all(pending).then(() => {}));
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

  #reserve(access: 'read' | 'write', iova: number, sizeBytes: number): void {
    try {
      this.#view.reserve(iova, sizeBytes);
    } catch (error) {
      if (!(error instanceof ViewLimitError)) throw error;
      throw new DmaError('view-full', access, iova, sizeBytes, error.message);
    }
  }
}

/** Whoever does not wait for an access is not to be ended by its failure. */
function unattended(pending: Promise<void>): Promise<void> {
  pending.catch(() => {});
  return pending;
}
