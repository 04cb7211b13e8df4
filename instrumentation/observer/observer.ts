/**
 * Who in the guest does each register access: what the processors have recorded (`SharedFile`), matched with what arrives
 * at the cards. The n-th access of a card by a processor is the n-th of that processor's that arrives there, and does not
 * say which processor it comes from: it is compared with the next one of each.
 *
 * A processor records an access when it has been done: a read when it has been answered, a write about when it arrives.
 * So an access is matched at the card's next event, and before its next access at the latest, for which it is waited.
 */
import { type AccessEvent, BAR_COUNT, type PciCard } from '../../emulator/pci';
import { physicalRanges } from './bus-addresses';
import { type Doorbell, Doorbells } from './doorbells';
import { CARD_PREFIX } from './layout';
import { MOST_PIECES, type Piece } from './pieces';
import { type DmaWrite, Provenance, type Writer, type WrittenRun } from './provenance';
import { isDma } from '../trace';
import { type DriverAccess, type RamRange, type RecordedAccess, type SharedFile } from './shared-file';

/** How long a processor may take to record an access that has been done. */
const WAIT_MS = 1000;
/** Between looks. */
const PAUSE_MS = 0.05;

/** Called once for each access of a BAR, in their order; undefined when it is not known who did it. */
export type OriginListener = (access: DriverAccess | undefined, isWrite: boolean) => void;

export class Observer implements Disposable {
  /** The number of the next access of each processor. */
  readonly #next: number[];
  /** By the path of their sockets. */
  readonly #cards = new Map<string, ObservedCard>();
  /** By the numbers of their devices. */
  readonly #regions: ReturnType<typeof cardRegionOf>[] = [];
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #provenance: Provenance;
  #unmatched = 0;

  constructor(
    readonly file: SharedFile,
    private readonly waitMs = WAIT_MS,
  ) {
    this.#next = Array.from({ length: file.machine.vcpus }, () => 0);
    this.#provenance = new Provenance(file);
  }

  /** How many accesses were done by nobody that is known. */
  get unmatched(): number {
    return this.#unmatched;
  }

  /**
   * Who wrote what a card has just read: pieces in their order, or by writer where there are many (`Pieces`). `whoIs` gives
   * the same object for the same writer.
   */
  writersOf<Who>(
    card: PciCard,
    iova: number,
    sizeBytes: number,
    whoIs: (writer: Writer | undefined) => Who,
  ): readonly Piece<Who>[] {
    const memory = this.#memory(card, iova, sizeBytes);
    const [first] = memory;
    if (memory.length <= 1) return first ? this.#provenance.pieces(first.address, first.sizeBytes, whoIs) : [];
    const pieces: Piece<Who>[] = [];
    let start = 0;
    for (const range of memory) {
      for (const { offset, end, ...piece } of this.#provenance.pieces(range.address, range.sizeBytes, whoIs)) {
        if (pieces.length === MOST_PIECES) return pieces;
        pieces.push({ ...piece, offset: start + offset, end: start + end });
      }
      start += range.sizeBytes;
    }
    return pieces;
  }

  /** Who wrote last what memory holds at an address of a card: runs of bytes with the same writer, by physical address. */
  provenance(card: PciCard, iova: number, sizeBytes: number): WrittenRun[] {
    return this.#memory(card, iova, sizeBytes).flatMap((range) => this.#provenance.of(range.address, range.sizeBytes));
  }

  #memory(card: PciCard, iova: number, sizeBytes: number): readonly RamRange[] {
    return physicalRanges(card, this.file.machine, iova, sizeBytes);
  }

  /** Observes a card, before what it does is recorded. It is known by its socket once that is set. */
  observe(card: PciCard, name: string): ObservedCard {
    const descriptors = new Map<string, DmaWrite['descriptor']>();
    card.inspection.events.subscribe((event, timeNs) => {
      if (!isDma(event) || event.error !== undefined) return;
      const { kind, channel, role, iova, sizeBytes } = event;
      const memory = this.#memory(card, iova, sizeBytes);
      for (const range of memory) this.file.touch(range.address, range.sizeBytes);
      if (kind === 'dma-read' && role === 'descriptor') descriptors.set(channel, { iova, sizeBytes });
      if (kind === 'dma-read') return;
      const [descriptor, doorbell] = [descriptors.get(channel), observed.doorbells.of(channel)];
      const access = { iova, sizeBytes, timeNs, descriptor, doorbell };
      this.#provenance.dmaWrote({ card: name, channel, role }, access, memory);
    });
    const observed: ObservedCard = new ObservedCard(card, {
      connect: (socketPath) => this.#cards.set(socketPath, observed),
      update: () => this.#read(),
      wait: (isDone) => this.#waitUntil(isDone),
      missed: () => this.#unmatched++,
    });
    return observed;
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }

  /** Gives what has been recorded to the cards that it is about. */
  #read(): void {
    for (const [vcpu, next] of this.#next.entries()) {
      if (this.file.written(vcpu) === next) continue;
      const { first, accesses } = this.file.accesses(vcpu, next);
      this.#next[vcpu] = first + accesses.length;
      for (const access of accesses) {
        const { card, bar } = this.#regionOf(access.device);
        card?.add(bar, access);
      }
    }
  }

  #regionOf(device: number) {
    const { socketPath, bar } = (this.#regions[device] ??= cardRegionOf(this.file.deviceName(device)));
    return { card: this.#cards.get(socketPath), bar };
  }

  #waitUntil(isDone: () => boolean): void {
    const endMs = performance.now() + this.waitMs;
    while (!isDone() && performance.now() < endMs) Atomics.wait(this.#pause, 0, 0, PAUSE_MS);
  }
}

interface Arrived {
  readonly isWrite: boolean;
  readonly bar: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly value: bigint;
  /** A write, for whoever keeps it until it is known who did it. */
  readonly write: Doorbell | undefined;
}

interface Recorded {
  readonly access: DriverAccess;
  readonly bar: number;
  readonly offset: number;
  /** How much of it has arrived: QEMU divides one that is larger than a message. */
  arrivedBytes: number;
}

export class ObservedCard {
  /** Accesses that have arrived and are not matched, in their order. */
  readonly #arrived: Arrived[] = [];
  /** What has been recorded and has not arrived, by processor. */
  readonly #recorded: Recorded[][] = [];
  #listeners: readonly OriginListener[] = [];
  readonly #processes = new Set<number>();
  readonly doorbells: Doorbells;

  /** Use `Observer.observe`. */
  constructor(
    private readonly card: PciCard,
    private readonly observer: {
      readonly connect: (socketPath: string) => void;
      readonly update: () => void;
      readonly wait: (isDone: () => boolean) => void;
      readonly missed: () => void;
    },
  ) {
    this.doorbells = new Doorbells(card);
    const { events } = card.inspection;
    events.subscribe((event) => {
      const write = this.doorbells.take(event);
      if ((event.kind !== 'read' && event.kind !== 'write') || event.region >= BAR_COUNT) return this.#match();
      this.settle();
      this.#arrived.push(arrivedOf(event, write));
    });
    // When everybody has received the event, and later, when the card has worked.
    events.onChange(() => this.#match());
  }

  /** The path of the socket that QEMU is connected to. */
  set socketPath(path: string) {
    this.observer.connect(path);
  }

  onOrigin(listener: OriginListener): void {
    this.#listeners = [...this.#listeners, listener];
  }

  /** The processes that have accessed the card's registers; undefined while it is not known who did all that has arrived. */
  get processes(): ReadonlySet<number> | undefined {
    this.#match();
    return this.#arrived.length === 0 ? this.#processes : undefined;
  }

  /** Waits, with a limit, until it is known who did all that has arrived and has been answered. */
  settle(): void {
    if (this.#arrived.length === 0) return;
    this.observer.wait(() => (this.#match(), this.#arrived.length === 0));
    while (this.#arrived.length > 0) {
      const arrived = this.#arrived.shift()!;
      const access = this.#takeLater(arrived);
      if (access === undefined) this.observer.missed();
      this.#notify(access, arrived);
    }
  }

  /** A processor has done an access of this card. */
  add(bar: number, access: RecordedAccess): void {
    const sizeBytes = this.card.inspection.device.layout.regions[bar]?.sizeBytes ?? 0;
    // A BAR lies at a multiple of its size.
    const offset = sizeBytes === 0 ? 0 : Number(access.address % BigInt(sizeBytes));
    (this.#recorded[access.vcpu] ??= []).push({ access, bar, offset, arrivedBytes: 0 });
  }

  #match(): void {
    if (this.#arrived.length === 0) return;
    this.observer.update();
    while (this.#arrived.length > 0) {
      const access = this.#takeNext(this.#arrived[0]!);
      if (access === undefined) return;
      this.#notify(access, this.#arrived.shift()!);
    }
  }

  /** The earliest, when several processors do the same next. */
  #takeNext(arrived: Arrived): DriverAccess | undefined {
    let earliest: Recorded[] | undefined;
    for (const queue of this.#recorded) {
      const [next] = queue ?? [];
      if (next === undefined || !isSame(next, arrived)) continue;
      if (earliest === undefined || next.access.timeNs < earliest[0]!.access.timeNs) earliest = queue;
    }
    return earliest && take(earliest, arrived);
  }

  /** After accesses that have not arrived: those are given up. */
  #takeLater(arrived: Arrived): DriverAccess | undefined {
    for (const queue of this.#recorded) {
      const at = (queue ?? []).findIndex((each) => isSame(each, arrived));
      if (at < 0) continue;
      queue.splice(0, at);
      return take(queue, arrived);
    }
    return undefined;
  }

  #notify(access: DriverAccess | undefined, { isWrite, write }: Arrived): void {
    if (write) write.by = access;
    if (access && !access.isKernel) this.#processes.add(access.pid);
    for (const listener of this.#listeners) listener(access, isWrite);
  }
}

function take(queue: Recorded[], { sizeBytes }: Arrived): DriverAccess {
  const next = queue[0]!;
  next.arrivedBytes += sizeBytes;
  if (next.arrivedBytes >= next.access.sizeBytes) queue.shift();
  return next.access;
}

function isSame({ access, bar, offset, arrivedBytes }: Recorded, arrived: Arrived): boolean {
  return (
    access.isWrite === arrived.isWrite &&
    bar === arrived.bar &&
    offset + arrivedBytes === arrived.offset &&
    arrivedBytes + arrived.sizeBytes <= access.sizeBytes &&
    BigInt.asUintN(8 * arrived.sizeBytes, access.value >> BigInt(8 * arrivedBytes)) === arrived.value
  );
}

const arrivedOf = ({ kind, region, offset, data }: AccessEvent, write: Doorbell | undefined): Arrived => ({
  isWrite: kind === 'write',
  bar: region,
  offset,
  sizeBytes: data.length,
  value: littleEndian(data),
  write,
});

function littleEndian(data: Uint8Array): bigint {
  let value = 0n;
  for (let i = data.length; i-- > 0;) value = (value << 8n) | BigInt(data[i]!);
  return value;
}

/** Of `vfio-user:/tmp/card0.sock BAR 0`, as QEMU names a card's memory region. */
export function cardRegionOf(deviceName: string): { socketPath: string; bar: number } {
  const [, socketPath = '', bar = ''] = /^(.*) BAR (\d)/.exec(deviceName.slice(CARD_PREFIX.length)) ?? [];
  return { socketPath, bar: Number(bar) };
}
