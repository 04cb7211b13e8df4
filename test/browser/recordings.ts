/** Recordings for tests of the report: a driver of the reference card, in process and in a device time of its own. */
import { join } from 'node:path';
import { PROCESSING, REFERENCE_REGISTERS, ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { readTrace, type RecorderOptions, type Trace, TraceRecorder, traceOf } from '../../instrumentation/trace';
import { ChannelDriver } from '../support/reference-driver';

export interface RecordedRunOptions extends RecorderOptions {
  /** Written to and read back, one after the other, in sizes from 64 bytes to 8 KiB. */
  readonly transfers: number;
  readonly cards?: number;
  /** A mark of the guest at the start. */
  readonly mark?: string;
  /** Left as by a killed run. */
  readonly cutOff?: boolean;
}

/** The trace of a driver that moves data to the card and back, polls now and then, and makes errors. */
export function recordRun(
  folder: string,
  { transfers, cards = 1, mark, cutOff = false, ...options }: RecordedRunOptions,
): Trace {
  const path = join(folder, 'run.trace');
  const recorder = new TraceRecorder(path, options);
  const drivers = Array.from({ length: cards }, (_, i) => new LoopbackDriver(recorder, `card${i}`));
  if (mark !== undefined) recorder.mark(mark, 'guest');
  for (let i = 0; i < transfers; i++) {
    if (i % Math.ceil(transfers / 6) === 0) recorder.mark(`round ${1 + i / Math.ceil(transfers / 6)}`, 'guest');
    for (const driver of drivers) driver.roundTrip(i);
  }
  for (const driver of drivers) driver.touchWhatIsNotThere();
  recorder.mark('all done', 'command');
  if (cutOff) recorder.flush();
  const trace = cutOff ? readTrace(path) : undefined;
  recorder.close();
  for (const driver of drivers) driver.close();
  return trace ?? readTrace(path);
}

class LoopbackDriver {
  readonly #clock = new ManualClock();
  readonly #card = new ReferenceCard({ clock: this.#clock });
  readonly #host: InProcessHost;
  readonly #h2c: ChannelDriver;
  readonly #c2h: ChannelDriver;
  readonly #buffers;

  constructor(recorder: TraceRecorder, name: string) {
    traceOf(this.#card).record(recorder, { name });
    this.#host = new InProcessHost(this.#card);
    this.#host.useInterrupts('msix', 8);
    const registers = this.#registers;
    for (const register of ['ID', 'VERSION', 'CAPABILITIES'] as const) registers.read(register);
    registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    registers.write('IRQ_ENABLE', 0b00101);
    this.#clock.advance(5000);
    this.#h2c = new ChannelDriver(this.#host, 'H2C');
    this.#c2h = new ChannelDriver(this.#host, 'C2H');
    this.#buffers = [this.#host.memory.allocate(8192), this.#host.memory.allocate(8192)] as const;
  }

  get #registers() {
    return this.#host.registers(0, REFERENCE_REGISTERS);
  }

  roundTrip(i: number): void {
    const [from, to] = this.#buffers;
    const lengthBytes = 64 << (i % 8);
    // Bytes that differ from transfer to transfer, and some text to be found in a dump.
    from.bytes.fill(i & 0xff, 0, lengthBytes);
    from.bytes.set(Buffer.from(`payload ${i}`), 0);
    const registers = this.#registers;
    this.#h2c.submit({ hostAddress: from.iova, lengthBytes, interrupt: true, endOfPacket: true });
    this.#clock.advance(1500 + lengthBytes);
    if (i % 3 === 0) registers.read('H2C[0].STATUS');
    registers.write('IRQ_STATUS', registers.read('IRQ_STATUS'));
    this.#c2h.submit({ hostAddress: to.iova, lengthBytes, interrupt: true });
    this.#clock.advance(2500 + lengthBytes);
    registers.read('C2H[0].CONSUMER_INDEX');
    registers.write('IRQ_STATUS', registers.read('IRQ_STATUS'));
    // As if the driver was not scheduled for a while.
    this.#clock.advance(i % 25 === 24 ? 60_000 : 700);
  }

  /** An access outside of all registers, a transfer from unmapped memory, and a declared fault. */
  touchWhatIsNotThere(): void {
    this.#host.bar(0).read32(0x3f00);
    this.#interruptWhileMasked();
    this.#registers.write('SCRATCH64', 0x1122334455667788n);
    this.#h2c.submit({ hostAddress: 0x7fff_0000_0000, lengthBytes: 64 });
    this.#clock.advance(3000);
    this.#registers.read('H2C[0].STATUS');
    const recording = traceOf(this.#card).recording!;
    recording.record({ kind: 'fault', fault: 'irq-late', what: 'held the interrupt of H2C0 back for 2 us' });
    recording.record({ kind: 'notice', text: 'the driver polls H2C[0].STATUS without progress' });
  }

  /** The vector of C2H0, by its entry in the table of MSI-X. */
  #interruptWhileMasked(): void {
    const control = 2 * 16 + 12;
    this.#host.bar(4).write32(control, 1);
    this.#registers.write('IRQ_TRIGGER', 0b100);
    this.#clock.advance(6000);
    this.#host.bar(4).write32(control, 0);
    this.#clock.advance(1000);
  }

  close(): void {
    this.#card.close();
  }
}
