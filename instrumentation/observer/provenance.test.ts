/** Whose bytes memory holds, by what the plugin has marked of stores and loads, and by what cards have written. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { loadNative } from '../../emulator/native';
import { PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { BAR_ADDRESS, FakePlugin } from '../../test/support/observer';
import { MARK, PAGE_BYTES } from './layout';
import { MOST_PIECES, type Piece } from './pieces';
import { Observer, SharedFile, type Writer } from '.';

const REGISTERS = registerMap({
  DOORBELL: { offset: 0, access: 'rw' },
  OTHER: { offset: 4, access: 'rw' },
});
/** The numbers of places of code: two of a program, one of the kernel, and more of the program. */
const [FILL, SEND, KERNEL, LOOP] = [1, 2, 3, 4];
const PLACES = [0n, 0x401000n, 0x402000n, 0xffff_ffff_8100_0000n];
const LOOP_STORES = 100;

/** Its DMA is done by the test. */
class IdleCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  readonly as = this.dmaChannel('TX', { doorbells: ['DOORBELL'] });

  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x12_00_00 }, { clock: new ManualClock() });
  }
}

let file: SharedFile;
let plugin: FakePlugin;
let observer: Observer;
let card: IdleCard;
let host: InProcessHost;
beforeEach(() => {
  file = new SharedFile(loadNative(), { vcpus: 1, ram: [{ address: 0, sizeBytes: 2 ** 20 }] });
  plugin = new FakePlugin(file);
  plugin.places([...PLACES, ...Array.from({ length: LOOP_STORES }, (_, i) => 0x403000n + BigInt(i))]);
  observer = new Observer(file, 1);
  card = new IdleCard();
  observer.observe(card, 'card').socketPath = '/tmp/card0.sock';
  host = new InProcessHost(card, { memoryIova: 0, memoryBytes: 2 ** 20 });
});
afterEach(() => {
  plugin[Symbol.dispose]();
  observer[Symbol.dispose]();
});

/** The code at a place stores; what of the last eight bytes it leaves is others', as the plugin keeps it. */
function store(address: number, sizeBytes: number, place: number, high = 16): void {
  file.shadow.keepOthers(address, sizeBytes, file.others);
  file.shadow.set(address, sizeBytes, place, high, MARK.bytesAt);
}

const code = (pc: bigint, more: object = {}) => ({ by: 'code', pc, isKernel: false, pid: 0, ...more }) as const;
const fill = code(PLACES[FILL]!);
const send = code(PLACES[SEND]!);

describe('who wrote memory last', () => {
  const written = (address: number, sizeBytes: number) =>
    observer.provenance(card, address, sizeBytes).map(({ address, sizeBytes, writer }) => [address, sizeBytes, writer]);

  it('is told by runs of bytes: code with its process and its caller, the kernel, nobody', () => {
    plugin.owner(1, 71);
    plugin.caller(FILL, 0x404000n);
    store(0x1000, 16, FILL);
    store(0x1010, 8, KERNEL, 1 << MARK.kernelAt);
    expect(written(0x1004, 0x1c)).toEqual([
      [0x1004, 12, { ...fill, pid: 71, caller: 0x404000n }],
      [0x1010, 8, code(PLACES[KERNEL]!, { isKernel: true })],
      [0x1018, 8, undefined],
    ]);
  });

  it('is told of both words of four bytes in eight, whichever came first', () => {
    store(0x1000, 4, FILL);
    store(0x1004, 4, SEND);
    expect(written(0x1000, 8)).toEqual([
      [0x1000, 4, fill],
      [0x1004, 4, send],
    ]);
    store(0x1000, 4, SEND);
    store(0x1004, 4, FILL);
    expect(written(0x1000, 8)).toEqual([
      [0x1000, 4, send],
      [0x1004, 4, fill],
    ]);
    store(0x1000, 8, SEND);
    expect(written(0x1000, 8)).toEqual([[0x1000, 8, send]]);
  });

  it('is DMA, of which descriptor and doorbell are told', () => {
    const timeNs = card.inspection.now();
    plugin.record('vfio-user:/tmp/card0.sock BAR 0', { address: BAR_ADDRESS, value: 1n, pc: 0x402000n, pid: 71 });
    host.bar(0).write32(0, 1);
    host.bar(0).write32(4, 2);
    void card.as('descriptor').read(0x2000, new Uint8Array(32));
    store(0x1000, 8, FILL);
    void card.as('data').write(0x1004, new Uint8Array(2));
    const [, run] = observer.provenance(card, 0x1000, 8);
    expect(run).toMatchObject({
      ...{ address: 0x1004, sizeBytes: 2 },
      writer: {
        ...{ by: 'dma', card: 'card', channel: 'TX', role: 'data' },
        access: { iova: 0x1004, sizeBytes: 2, timeNs, descriptor: { iova: 0x2000, sizeBytes: 32 } },
      },
    });
    const { doorbell } = (run!.writer as Extract<Writer, { by: 'dma' }>).access!;
    expect([doorbell!.register(), doorbell!.value, doorbell!.by?.pc]).toEqual(['DOORBELL', '0x00000001', 0x402000n]);
    expect(written(0x1000, 8).map(([address]) => address)).toEqual([0x1000, 0x1004, 0x1006]);
  });

  it('is DMA of a channel without more, when the access was long ago', () => {
    void card.as('data').write(0x1000, new Uint8Array(8));
    for (let i = 0; i < 1 << 15; i++) void card.as('data').write(0x2000, new Uint8Array(8));
    expect(written(0x1000, 8)).toEqual([[0x1000, 8, { by: 'dma', card: 'card', channel: 'TX', role: 'data' }]]);
  });

  it('is not told of a card that failed to write, nor beyond RAM', () => {
    card.inspection.events.publish({
      ...({ kind: 'dma-write', channel: 'TX', role: 'data', iova: 0x1000, sizeBytes: 8, error: 'unmapped' } as const),
    });
    expect(written(0x1000, 8)).toEqual([[0x1000, 8, undefined]]);
    expect(written(2 ** 20, 8)).toEqual([[2 ** 20, 8, undefined]]);
  });

  it('is told with who has loaded it last', () => {
    store(0x1000, 16, FILL);
    file.loads.set(0x1008, 8, SEND, 16, MARK.bytesAt);
    expect(observer.provenance(card, 0x1000, 16)).toEqual([
      { address: 0x1000, sizeBytes: 8, writer: fill },
      { address: 0x1008, sizeBytes: 8, writer: fill, loader: send },
    ]);
  });

  it('is told behind an IOMMU of what the addresses of the card are mapped to', () => {
    using translated = new SharedFile(loadNative(), {
      ...{ vcpus: 1, ram: [{ address: 0x10_0000, sizeBytes: 2 ** 20 }], hasIommu: true },
    });
    using itsPlugin = new FakePlugin(translated);
    itsPlugin.places(PLACES);
    const other = new Observer(translated, 1);
    const itsCard = new IdleCard();
    other.observe(itsCard, 'card');
    for (const [iova, fileOffset] of [
      [0x8000n, 0x5000],
      [0x9000n, 0x2000],
    ] as const) {
      const backing = { kind: 'bytes', bytes: new Uint8Array(4096), fileOffset } as const;
      itsCard.inspection.device.mapDma({ iova, sizeBytes: 4096n, readable: true, writable: true, backing });
    }
    translated.shadow.set(0x10_5ff8, 8, FILL, 16, MARK.bytesAt);
    translated.shadow.set(0x10_2000, 8, SEND, 16, MARK.bytesAt);
    expect(other.provenance(itsCard, 0x8ff8, 16)).toEqual([
      { address: 0x10_5ff8, sizeBytes: 8, writer: fill },
      { address: 0x10_2000, sizeBytes: 8, writer: send },
    ]);
    const places = other.writersOf(itsCard, 0x8ff8, 16, (writer) => writer?.by === 'code' && writer.pc);
    expect(places).toEqual([
      { offset: 0, end: 8, sizeBytes: 8, who: PLACES[FILL] },
      { offset: 8, end: 16, sizeBytes: 8, who: PLACES[SEND] },
    ]);
    expect(other.provenance(itsCard, 0xa000, 8)).toEqual([]);
  });
});

describe('who wrote what a card reads', () => {
  const whoIs = (writer: Writer | undefined): string => (writer?.by === 'code' ? writer.pc.toString(16) : 'other');
  const pieces = (address: number, sizeBytes: number): readonly Piece<string>[] =>
    observer.writersOf(card, address, sizeBytes, whoIs);

  it('is told piece by piece, of words of four bytes too', () => {
    store(0x1000, 4, FILL);
    store(0x1004, 4, SEND);
    store(0x1008, 8, SEND, 32);
    expect(pieces(0x1000, 24)).toEqual([
      { offset: 0, end: 4, sizeBytes: 4, who: '401000' },
      { offset: 4, end: 16, sizeBytes: 12, who: '402000' },
      { offset: 16, end: 24, sizeBytes: 8, who: 'other' },
    ]);
  });

  it('is told by writer where a loop of several stores has filled a buffer', () => {
    const size = 64 * PAGE_BYTES;
    for (let at = 0; at < size; at += 32) store(0x1000 + at, 32, LOOP + ((at / 32) % 4));
    store(0x1000 + size, 8, SEND);
    expect(pieces(0x1000, size + 8)).toEqual([
      ...[0, 1, 2, 3].map((number) => ({
        ...{ offset: 32 * number, end: size - 32 * (3 - number), sizeBytes: size / 4 },
        who: (0x403000 + number).toString(16),
      })),
      { offset: size, end: size + 8, sizeBytes: 8, who: '402000' },
    ]);
  });

  it('is told of a large buffer of one writer, in whichever process a page is', () => {
    const size = 32 * PAGE_BYTES;
    store(0x1000, size + 100, FILL);
    plugin.owner(5, 71);
    expect(pieces(0x1800, size - 0x800)).toEqual([
      { offset: 0, end: size - 0x800, sizeBytes: size - 0x800, who: '401000' },
    ]);
    const pids = observer.writersOf(card, 0x1800, size - 0x800, (writer) => (writer?.by === 'code' ? writer.pid : -1));
    expect(pids.map(({ offset, sizeBytes, who }) => [0x1800 + offset, sizeBytes, who])).toEqual([
      [0x1800, 0x3800, 0],
      [0x5000, 0x1000, 71],
      [0x6000, 0x1000 + size - 0x6000, 0],
    ]);
  });

  it('ends where there are too many writers', () => {
    for (let place = 0; place < LOOP_STORES; place++) store(0x1000 + 8 * place, 8, LOOP + place);
    expect(pieces(0x1000, 8 * LOOP_STORES)).toHaveLength(MOST_PIECES);
  });
});
