/**
 * (j) DMA mappings of single pages, as of a guest behind an IOMMU: look-up, map and unmap among many, against the same
 * with one. The goals are logarithmic: at most 1 + log2(n) times the floor.
 *
 * Map and unmap take the path of a message of the client, from the decoded request on; the guest's memory is a memfd.
 */
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { AddressMap, DmaAccess } from '../../emulator/memory';
import { loadNative, type Native } from '../../emulator/native';
import { traceOf } from '../../instrumentation/trace';
import { defaultPieceBytes, DmaWindows } from '../../emulator/vfio-user/dma-windows';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const COUNTS = [16, 256, 4096, 65_535];
const PAGE_BYTES = 4096;
/** Pages are this far apart, so that no two mappings touch. */
const STRIDE_BYTES = 2 * PAGE_BYTES;
const MEMORY_BYTES = 64 << 20;
const MOST_MAPS = 65_536;

const goal = (count: number) => ({ kind: 'at-most', ratio: Math.round(10 * (1 + Math.log2(count))) / 10 }) as const;
const rounds = (quick: boolean, round: () => Round): Round[] => {
  const warmUp = quick ? 1 : 3;
  return Array.from({ length: warmUp + (quick ? 3 : 11) }, round).slice(warmUp);
};

/** Numbers in random order, the same in every run. */
function scattered(count: number, below: number): number[] {
  let seed = 1;
  return Array.from({ length: count }, () => (seed = (seed * 48_271) % 0x7fff_ffff) % below);
}

function nsEach(times: number, act: () => void): number {
  const startedNs = process.hrtime.bigint();
  act();
  return Number(process.hrtime.bigint() - startedNs) / times;
}

/** 8 bytes read at addresses in random order, by the whole path of an access of the card. */
function lookUps(quick: boolean): Figure[] {
  const memory = new Uint8Array(MEMORY_BYTES).fill(1);
  const accesses = quick ? 20_000 : 500_000;
  const measure = (mappings: readonly [iova: number, offset: number, sizeBytes: number][], addresses: Float64Array) => {
    const map = new AddressMap();
    for (const [iova, offset, sizeBytes] of mappings) {
      const bytes = memory.subarray(offset, offset + sizeBytes);
      const range = { iova: BigInt(iova), sizeBytes: BigInt(sizeBytes), readable: true, writable: true };
      map.add({ ...range, backing: { kind: 'bytes', bytes } });
    }
    const access = new DmaAccess(map, () => true);
    const into = new Uint8Array(8);
    return () =>
      nsEach(accesses, () => {
        for (let i = 0; i < accesses; i++) void access.read(addresses[i & 0xffff]!, into);
      });
  };
  return COUNTS.map((count) => {
    const offsetOf = (page: number): number => (page * PAGE_BYTES) % MEMORY_BYTES;
    const pages = Float64Array.from(scattered(65_536, count));
    const each = Array.from({ length: count }, (_, page) => page);
    const subject = measure(
      each.map((page) => [page * STRIDE_BYTES, offsetOf(page), PAGE_BYTES]),
      pages.map((page) => page * STRIDE_BYTES + 8),
    );
    // The same bytes in the same order: the difference is the look-up.
    const floor = measure(
      [[0, 0, MEMORY_BYTES]],
      pages.map((page) => offsetOf(page) + 8),
    );
    const name = `DMA of 8 bytes, anywhere in ${count} mappings`;
    const definition = { group: 'j', unit: 'ns', floorName: 'one mapping', goal: goal(count) };
    return figure(
      { ...definition, name },
      rounds(quick, () => ({ floor: floor(), subject: subject() })),
    );
  });
}

/** A client's mappings of one file. */
class Client implements Disposable {
  readonly #card = new ReferenceCard({ clock: new ManualClock() });
  readonly #windows: DmaWindows;

  constructor(
    native: Native,
    private readonly fd: number,
  ) {
    const remote = { read: () => Promise.reject(new Error('no message')), write: () => Promise.resolve() };
    const limits = { maxMaps: MOST_MAPS, pieceBytes: defaultPieceBytes };
    this.#windows = new DmaWindows(native, traceOf(this.#card).device, remote, limits);
  }

  map(page: number): void {
    const fileOffset = BigInt((page * PAGE_BYTES) % MEMORY_BYTES);
    const iova = BigInt(page * STRIDE_BYTES);
    this.#windows.map({ iova, sizeBytes: BigInt(PAGE_BYTES), fileOffset, readable: true, writable: true }, this.fd);
  }

  unmap(page: number): void {
    this.#windows.unmap(BigInt(page * STRIDE_BYTES), BigInt(PAGE_BYTES));
  }

  unmapPages(): void {
    this.#windows.unmap(0n, BigInt(MOST_MAPS * STRIDE_BYTES));
  }

  [Symbol.dispose](): void {
    this.#windows.unmapAll();
    this.#card.close();
  }
}

/** One page is unmapped and mapped again, each time another; the others stay. */
function comeAndGo(quick: boolean, native: Native, fd: number): Figure[] {
  const times = quick ? 500 : 5000;
  const measure = (count: number) => {
    const client = new Client(native, fd);
    for (let page = 0; page < count; page++) client.map(page);
    const pages = scattered(times, count);
    const round = (): number =>
      nsEach(times, () => {
        for (const page of pages) {
          client.unmap(page);
          client.map(page);
        }
      });
    return { client, round };
  };
  const floor = measure(1);
  using floorClient = floor.client;
  void floorClient;
  return COUNTS.map((count) => {
    const subject = measure(count);
    using client = subject.client;
    void client;
    const definition = { group: 'j', unit: 'ns', floorName: 'one page', goal: goal(count) };
    return figure(
      { ...definition, name: `unmap and map one of ${count} pages` },
      rounds(quick, () => ({ floor: floor.round(), subject: subject.round() })),
    );
  });
}

/** All are mapped in random order and unmapped with one request: the cost of each. */
function fillAndEmpty(quick: boolean, native: Native, fd: number): Figure[] {
  using client = new Client(native, fd);
  const fill = (count: number) => {
    const stride = 7919; // a prime that divides none of the counts
    const repeats = Math.ceil((quick ? 1000 : 16_384) / count);
    return nsEach(repeats * count, () => {
      for (let repeat = 0; repeat < repeats; repeat++) {
        for (let page = 0; page < count; page++) client.map((page * stride) % count);
        client.unmapPages();
      }
    });
  };
  const [few, ...more] = COUNTS as [number, ...number[]];
  return more.map((count) => {
    const definition = { group: 'j', unit: 'ns', floorName: `${few} pages`, goal: goal(count / few) };
    return figure(
      { ...definition, name: `map ${count} pages and unmap all, each` },
      rounds(quick, () => ({ floor: fill(few), subject: fill(count) })),
    );
  });
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  const native = loadNative();
  const fd = native.memfdCreate('ghostcard-bench', MEMORY_BYTES);
  try {
    return [...lookUps(quick), ...comeAndGo(quick, native, fd), ...fillAndEmpty(quick, native, fd)];
  } finally {
    native.close(fd);
  }
}

export const dmaMaps: Benchmark = { groups: ['j'], title: 'DMA mappings in process', run };
