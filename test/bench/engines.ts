/**
 * (n) What a descriptor costs the engines of models of real devices, in process, against the reference card's: the same
 * bytes in the same pieces, from the doorbell to the last descriptor. To add one: a row of `ENGINES`.
 */
import { AXI_DMA_DESCRIPTOR_BYTES, AxiDmaCard } from '../../emulator/cards/axi-dma';
import { IoatCard } from '../../emulator/cards/ioat';
import { ReferenceCard } from '../../emulator/cards/reference';
import { XdmaCard } from '../../emulator/cards/xdma';
import { ManualClock } from '../../emulator/clock';
import { CardMemoryEndpoint } from '../../emulator/dma';
import { InProcessHost } from '../../emulator/host';
import { type PciCard } from '../../emulator/pci';
import { AxiDmaDriver } from '../support/axi-dma-driver';
import { IoatDriver } from '../support/ioat-driver';
import { ChannelDriver } from '../support/reference-driver';
import { XDMA_RUN, XdmaChannelDriver } from '../support/xdma-driver';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure } from './figure';

const DESCRIPTORS = 4096;
const BYTES = 64;

/** An engine, ready: each call moves all descriptors, and returns how many are complete. */
type Engine = (clock: ManualClock) => {
  readonly card: PciCard;
  readonly prepare: () => void;
  readonly run: () => number;
};

const pieces = (hostAddress: number) =>
  Array.from({ length: DESCRIPTORS }, (_, index) => ({
    ...{ hostAddress: hostAddress + index * BYTES, cardAddress: index * BYTES, lengthBytes: BYTES },
  }));

const reference: Engine = (clock) => {
  const card = new ReferenceCard({ clock });
  const host = new InProcessHost(card);
  const driver = new ChannelDriver(host, 'H2C', 0, 2 * DESCRIPTORS);
  const orders = pieces(host.memory.allocate(DESCRIPTORS * BYTES).iova);
  let done = 0;
  return {
    card,
    prepare: () => driver.prepare(...orders),
    run: () => {
      driver.doorbell();
      clock.runDue();
      const before = done;
      done = driver.registers.read('H2C[0].COMPLETED');
      return done - before;
    },
  };
};

const xdma: Engine = (clock) => {
  const card = new XdmaCard({ clock });
  const host = new InProcessHost(card);
  const driver = new XdmaChannelDriver(host, 'H2C', { most: DESCRIPTORS });
  const orders = pieces(host.memory.allocate(DESCRIPTORS * BYTES).iova);
  return {
    card,
    prepare: () => driver.chain(orders),
    run: () => {
      driver.stop();
      driver.run(XDMA_RUN);
      clock.runDue();
      return driver.completed;
    },
  };
};

/** It copies within host memory: twice the bytes on the bus. */
const ioat: Engine = (clock) => {
  const card = new IoatCard({ clock });
  const host = new InProcessHost(card);
  const driver = new IoatDriver(host, 0, 2 * DESCRIPTORS);
  const orders = pieces(host.memory.allocate(2 * DESCRIPTORS * BYTES).iova).map(({ hostAddress, lengthBytes }) => ({
    ...{ source: hostAddress, destination: hostAddress + DESCRIPTORS * BYTES, sizeBytes: lengthBytes },
  }));
  return {
    card,
    prepare: () => driver.prepare(...orders),
    run: () => {
      driver.doorbell();
      clock.runDue();
      return driver.isIdle ? DESCRIPTORS : 0;
    },
  };
};

const axiDma: Engine = (clock) => {
  const memory = new CardMemoryEndpoint({ bytes: new Uint8Array(BYTES) });
  const card = new AxiDmaCard({ clock, stream: { sink: memory, source: memory } });
  const host = new InProcessHost(card);
  const driver = new AxiDmaDriver(host, 'MM2S', DESCRIPTORS);
  const orders = pieces(host.memory.allocate(DESCRIPTORS * BYTES).iova).map(({ hostAddress, lengthBytes }) => ({
    ...{ hostAddress, lengthBytes },
  }));
  driver.start();
  return {
    card,
    prepare: () => driver.prepare(...orders),
    run: () => {
      driver.setPointer('TAILDESC', driver.addressOf(DESCRIPTORS - 1));
      clock.runDue();
      return (driver.read('CURDESC') - driver.addressOf(0)) / AXI_DMA_DESCRIPTOR_BYTES + 1;
    },
  };
};

const ENGINES: Readonly<Record<string, Engine>> = {
  'XDMA, chain': xdma,
  'I/OAT, copies': ioat,
  'AXI DMA, MM2S': axiDma,
};

/** Nanoseconds for a descriptor. */
function measure({ prepare, run }: ReturnType<Engine>): number {
  prepare();
  const started = process.hrtime.bigint();
  const completed = run();
  const ns = Number(process.hrtime.bigint() - started);
  if (completed !== DESCRIPTORS) throw new Error(`${completed} of ${DESCRIPTORS} descriptors are complete`);
  return ns / DESCRIPTORS;
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  await Promise.resolve();
  return Object.entries(ENGINES).map(([name, make]) => {
    const clock = new ManualClock();
    const [subject, floor] = [make(clock), reference(clock)];
    const warmUp = quick ? 2 : 20;
    const rounds = Array.from({ length: warmUp + (quick ? 3 : 50) }, (_, round) => {
      const early = round % 2 === 0 ? measure(floor) : 0;
      const ns = measure(subject);
      return { subject: ns, floor: early || measure(floor) };
    });
    subject.card.close();
    floor.card.close();
    return figure(
      {
        ...{ group: 'n', name: `${name}: a descriptor of ${BYTES} bytes`, unit: 'ns', floorName: 'the reference card' },
        goal: { kind: 'at-most', ratio: 1.5 },
      },
      rounds.slice(warmUp),
    );
  });
}

export const engines: Benchmark = { groups: ['n'], title: 'Engines of real devices', run };
