/**
 * (b), (c) The DMA engine, in process, against memcpy of the same bytes in the same pieces between the same pages: guest
 * memory (a memfd, mapped, as in use), and the memory of the card.
 *
 * Measured is the card's work, from the doorbell to the write-back of the last descriptor.
 */
import { ReferenceCard } from '../../emulator/cards/reference';
import { WallClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { loadNative } from '../../emulator/native';
import { ChannelDriver, type Direction } from '../support/reference-driver';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type FigureDefinition, type Round } from './figure';
import { buildNative, loadMemcpyFloor, type MemcpyFloor } from './native';

export const MIB = 1 << 20;
export const TRANSFER_BYTES = 64 * MIB;
const GUEST_IOVA = 0x1_0000_0000;

interface Case {
  readonly group: 'b' | 'c';
  readonly direction: Direction;
  readonly descriptorBytes: number;
  readonly goal: FigureDefinition['goal'] & {};
}

const cases: readonly Case[] = (['H2C', 'C2H'] as const).flatMap((direction) => [
  { group: 'b', direction, descriptorBytes: MIB, goal: { kind: 'at-least', ratio: 0.8 } },
  { group: 'c', direction, descriptorBytes: 4096, goal: { kind: 'at-least', ratio: 0.25 } },
]);

/** The card on a host whose memory is mapped like a guest's. */
export class DmaRig implements Disposable {
  readonly #native = loadNative();
  readonly #clock = new WallClock();
  readonly #fd = this.#native.memfdCreate('ghostcard-bench', TRANSFER_BYTES);
  readonly #mapped = this.#native.map(this.#fd, 0, TRANSFER_BYTES, true);
  readonly guestMemory = new Uint8Array(this.#mapped);
  readonly card = new ReferenceCard({ clock: this.#clock });
  readonly #recorder: { close(): void } | undefined;
  readonly #host: InProcessHost;

  /** `record`: has the card recorded, before it is driven. */
  constructor(record?: (card: ReferenceCard) => { close(): void }) {
    this.#recorder = record?.(this.card);
    this.#host = new InProcessHost(this.card);
    this.card.mapDma({
      iova: BigInt(GUEST_IOVA),
      sizeBytes: BigInt(TRANSFER_BYTES),
      readable: true,
      writable: true,
      backing: { kind: 'bytes', bytes: this.guestMemory },
    });
    // Pages that were never written are all the same page of zeros.
    for (let at = 0; at < TRANSFER_BYTES; at += 4) this.guestMemory[at] = at >>> 12;
    this.card.memory.fill(0x5a);
  }

  driver({ direction, descriptorBytes }: Pick<Case, 'direction' | 'descriptorBytes'>): ChannelDriver {
    return new ChannelDriver(this.#host, direction, 0, (2 * TRANSFER_BYTES) / descriptorBytes);
  }

  /** Moves everything once; returns how long the card took, in nanoseconds. */
  transfer(driver: ChannelDriver, { descriptorBytes }: Pick<Case, 'descriptorBytes'>): number {
    const memoryBytes = this.card.memory.length;
    for (let at = 0; at < TRANSFER_BYTES; at += descriptorBytes) {
      driver.prepare({
        hostAddress: GUEST_IOVA + at,
        lengthBytes: descriptorBytes,
        cardAddress: at % memoryBytes,
        endOfPacket: true,
      });
    }
    const giveUpNs = this.#clock.now() + 30e9;
    const startedNs = process.hrtime.bigint();
    driver.doorbell();
    while (driver.writeback.view.getUint32(0, true) !== driver.producer) {
      this.#clock.runDue();
      if (this.#clock.now() > giveUpNs) throw new Error(`DMA not done in 30 s: ${String(driver.state.errorCode)}`);
    }
    return Number(process.hrtime.bigint() - startedNs);
  }

  /** Whether the last 16 MiB of guest memory and the card's memory hold the same. */
  get agrees(): boolean {
    const { memory } = this.card;
    return Buffer.compare(memory, this.guestMemory.subarray(TRANSFER_BYTES - memory.length)) === 0;
  }

  [Symbol.dispose](): void {
    this.#clock.close();
    this.card.close();
    this.#recorder?.close();
    this.#native.unmap(this.#mapped);
    this.#native.close(this.#fd);
  }
}

/** The first place alternates: the second finds the caches as the first has left them. */
function measure(rig: DmaRig, driver: ChannelDriver, one: Case, floor: MemcpyFloor, floorFirst: boolean): Round {
  const { guestMemory, card } = rig;
  const [destination, source] = one.direction === 'H2C' ? [card.memory, guestMemory] : [guestMemory, card.memory];
  const measureFloor = (): number => floor.copyPieces(destination, source, one.descriptorBytes);
  const earlyNs = floorFirst ? measureFloor() : 0;
  const subjectNs = rig.transfer(driver, one);
  if (!rig.agrees) throw new Error(`${one.direction}: the data that arrived differ from the data that were sent`);
  const floorNs = floorFirst ? earlyNs : measureFloor();
  const mibPerSecond = (ns: number): number => TRANSFER_BYTES / MIB / (ns / 1e9);
  return { subject: mibPerSecond(subjectNs), floor: mibPerSecond(floorNs) };
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  await buildNative();
  const floor = loadMemcpyFloor();
  using rig = new DmaRig();
  return cases.map((one) => {
    const driver = rig.driver(one);
    const warmUp = quick ? 1 : 5;
    const rounds = Array.from({ length: warmUp + (quick ? 3 : 25) }, (_, round) =>
      measure(rig, driver, one, floor, round % 2 === 0),
    );
    const size = one.descriptorBytes === MIB ? '1 MiB' : '4 KiB';
    return figure(
      {
        group: one.group,
        name: `DMA ${one.direction}, 64 MiB in ${size} descriptors`,
        unit: 'MiB/s',
        floorName: 'C memcpy',
        goal: one.goal,
      },
      rounds.slice(warmUp),
    );
  });
}

export const dma: Benchmark = { groups: ['b', 'c'], title: 'DMA in process', run };
