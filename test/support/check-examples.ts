/** For each check a small card and a driver that does what the check reports: for its test and for docs/checks.md. */
import { type Clock, ManualClock } from '../../emulator/clock';
import { COMMAND, InProcessHost, type RegionSpace } from '../../emulator/host';
import { PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { type CardChecks, checksOf } from '../../instrumentation/checks';
import { detectStalls } from '../../instrumentation/stalls';
import { type CardNotice, traceOf } from '../../instrumentation/trace';
import { DEVICE_CONTROL, INITIATE_FLR } from './pci-bus';

const ENGINE = registerMap({
  CONTROL: {
    offset: 0x00,
    access: 'rw',
    fields: {
      RUN: [0],
      IRQ_ENABLE: [1],
      MODE: [5, 4],
      LOOPBACK: [6],
      FLUSH: { bits: [8], access: 'w1s', card: 'clears' },
    },
  },
  STATUS: { offset: 0x04, access: 'w1c', fields: { DONE: [0], ERROR: { bits: [1], role: 'error' }, OVERRUN: [2] } },
  VECTOR: { offset: 0x08, access: 'rw' },
  RING: { offset: 0x10, width: 64, access: 'rw' },
  COUNT: { offset: 0x18, width: 16, access: 'ro' },
  FETCH: { offset: 0x20, access: 'wo', doc: 'Fetches so many bytes of descriptors.' },
});
export const OFFSETS = { CONTROL: 0x00, STATUS: 0x04, VECTOR: 0x08, RING: 0x10, COUNT: 0x18, FETCH: 0x20, HOLE: 0x40 };

/** An engine that fetches descriptors, each microsecond by default, while RUN is 1, and raises VECTOR when told. */
export class EngineCard extends PciCard {
  readonly registers = this.registerBar(0, ENGINE);
  readonly memory = this.memoryBar(2, 4096);
  readonly #descriptors = this.dmaAs({ channel: 'ENGINE', role: 'descriptor' });

  constructor(
    clock: Clock,
    private readonly periodNs = 1000,
  ) {
    super(
      { vendorId: 0x1234, deviceId: 0x4760, classCode: 0x12_00_00, intx: 'A', msix: { bar: 4, vectors: 4 } },
      { clock },
    );
    this.registers.onWrite('CONTROL', ({ value, previous }) => {
      if (value & ~previous & 1) this.#run();
      if (value & ~previous & 0x100) this.clock.after(this.periodNs, () => this.registers.set('CONTROL.FLUSH', 0));
    });
    this.registers.onWrite('STATUS', () => this.driveLine());
    this.registers.onWrite('FETCH', ({ data }) => this.fetch(data));
  }

  fetch(sizeBytes: number): void {
    try {
      this.#descriptors.read(Number(this.registers.get('RING')), new Uint8Array(sizeBytes));
    } catch {
      this.registers.set('STATUS.ERROR', 1);
    }
  }

  /** Writes its status to host memory. */
  tell(iova: number): void {
    this.dmaAs({ channel: 'ENGINE', role: 'write-back' }).write32(iova, this.registers.get('STATUS'));
  }

  #run(): void {
    if (this.registers.get('CONTROL.RUN') === 0) return;
    this.fetch(64);
    this.clock.after(this.periodNs, () => this.#run());
  }

  /** The card sets bits of STATUS, which assert INTx. */
  status(bits: number): void {
    this.registers.set('STATUS', this.registers.get('STATUS') | bits);
    this.driveLine();
  }

  driveLine(): void {
    this.interrupts.setIntx(this.registers.get('STATUS') !== 0);
  }

  raise(): void {
    this.interrupts.signal(this.registers.get('VECTOR'));
  }
}

export interface Sitting {
  readonly card: EngineCard;
  readonly clock: ManualClock;
  readonly host: InProcessHost;
  readonly bar: RegionSpace;
  readonly checks: CardChecks;
  readonly notices: readonly CardNotice[];
}

export function sitDown(off: readonly string[] = []): Sitting {
  const clock = new ManualClock();
  const card = new EngineCard(clock);
  const notices: CardNotice[] = [];
  const onNotice = (notice: CardNotice) => void notices.push(notice);
  const checks = checksOf(card, { off, onNotice });
  detectStalls(traceOf(card), { clock, off, onNotice });
  const host = new InProcessHost(card);
  return { card, clock, host, bar: host.bar(0), checks, notices };
}

const RUNNING = COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER;
const DONE = 1;
const ERROR = 2;

/** By the name of the check, what causes its notice. */
export const EXAMPLES: Readonly<Record<string, (sitting: Sitting) => void>> = {
  'dma-crosses-4k': ({ host, bar }) => {
    bar.write64(OFFSETS.RING, BigInt(host.memory.allocate(8192, 4096).iova + 0xfe0));
    bar.write32(OFFSETS.FETCH, 128);
  },
  'access-size': ({ bar }) => bar.write16(OFFSETS.CONTROL + 2, 1),
  'lost-update': ({ card, bar }) => {
    bar.write32(OFFSETS.CONTROL, 0x11);
    const read = bar.read32(OFFSETS.CONTROL);
    card.registers.set('CONTROL.RUN', 0);
    bar.write32(OFFSETS.CONTROL, read | 2);
  },
  'acknowledged-unread': ({ card, bar }) => {
    card.status(DONE);
    bar.read32(OFFSETS.STATUS);
    card.status(ERROR);
    bar.write32(OFFSETS.STATUS, 7);
  },
  'error-unread': ({ bar, checks }) => {
    bar.write64(OFFSETS.RING, 0xdead_0000n);
    bar.write32(OFFSETS.FETCH, 64);
    bar.write32(OFFSETS.CONTROL, 0);
    checks.driverLeft('the command ./driver has ended');
  },
  'enabled-with-cause': ({ card, host }) => {
    host.useInterrupts('intx');
    card.status(DONE);
    for (let i = 0; i < 3; i++) {
      host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
      host.interrupts.unmaskIntx();
      host.command(RUNNING);
    }
  },
  'vector-beyond': ({ card, host, bar }) => {
    host.useInterrupts('msix', 4);
    bar.write32(OFFSETS.VECTOR, 9);
    card.raise();
  },
  'stale-interrupt': ({ card, host, checks }) => {
    host.useInterrupts('intx');
    host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
    card.status(DONE);
    checks.driverLeft('the command ./first has ended');
    host.command(RUNNING);
  },
  'dma-without-driver': ({ host, bar, checks, clock }) => {
    bar.write64(OFFSETS.RING, BigInt(host.memory.allocate(4096, 4096).iova));
    bar.write32(OFFSETS.CONTROL, 1);
    checks.driverLeft('the command ./driver has ended');
    clock.advance(5000);
  },
  'left-at-work': ({ host, bar, checks, clock }) => {
    bar.write64(OFFSETS.RING, BigInt(host.memory.allocate(4096, 4096).iova));
    bar.write32(OFFSETS.CONTROL, 1);
    clock.advance(5000);
    host.command(COMMAND.MEMORY_SPACE);
    clock.advance(5000);
    checks.driverLeft('the command ./driver has ended');
  },
  'stale-rings': ({ host, bar, clock }) => {
    bar.write64(OFFSETS.RING, BigInt(host.memory.allocate(4096, 4096).iova));
    bar.write32(OFFSETS.CONTROL, 1);
    host.command(COMMAND.MEMORY_SPACE);
    clock.advance(5000);
    host.command(RUNNING);
    clock.advance(5000);
  },
  'stray-dma': ({ host, bar, checks }) => {
    const buffer = host.memory.allocate(4096, 4096);
    const freed: number[] = [];
    checks.lookAtPages({ useOf: (page) => (freed.includes(page) ? 'free' : undefined) });
    bar.write64(OFFSETS.RING, BigInt(buffer.iova));
    bar.write32(OFFSETS.FETCH, 64);
    freed.push(buffer.iova);
    bar.write32(OFFSETS.FETCH, 64);
  },
  'unclaimed-reads': ({ host, bar }) => {
    bar.read32(OFFSETS.STATUS);
    host.command(COMMAND.BUS_MASTER);
  },
  'flr-by-hand': ({ host }) => {
    host.command(RUNNING);
    host.config.write16(DEVICE_CONTROL, INITIATE_FLR);
    host.command(RUNNING);
  },
  'intx-left-asserted': ({ card, host }) => {
    host.useInterrupts('intx');
    card.status(DONE);
    card.registers.set('STATUS', 0);
    card.driveLine();
    for (let i = 0; i < 1000; i++) host.config.read32(4);
  },
  'polling': ({ bar, clock }) => {
    for (let i = 0; i < 200; i++) {
      bar.read32(OFFSETS.STATUS);
      clock.advance(10e6);
    }
  },
  'interrupt-cannot-come': ({ card, host, bar, clock }) => {
    host.useInterrupts('msix', 4);
    host.bar(4).write32(4 * 4 - 4, 1); // vector 0 is masked
    bar.write32(OFFSETS.CONTROL, 2);
    card.raise();
    clock.advance(3e9);
  },
};

/** The notices that an example causes. */
export function noticesOf(name: string, off?: readonly string[]): readonly CardNotice[] {
  const sitting = sitDown(off);
  EXAMPLES[name]!(sitting);
  const { notices, card } = sitting;
  const seen = [...notices];
  card.close();
  return seen;
}
