import { describe, expect, it } from 'vitest';
import { fill, IoatDriver } from '../../../test/support/ioat-driver';
import { recordInMemory } from '../../../test/support/traces';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import { CardDefinitionError } from '../../pci';
import { applyFaults, type FaultDeclaration } from '../../../instrumentation/faults';
import { traceOf } from '../../../instrumentation/trace';
import { IoatCard, type IoatCardOptions } from './card';
import { CHANNEL_ERRORS, CHANNEL_STATES, ioatRegisters } from './registers';

const { ACTIVE, ARMED, HALTED, IDLE, SUSPENDED } = CHANNEL_STATES;
const MASTER = 1;
const VECTOR_CONTROL = 8;
const [SUSPEND, ABORT, RESUME, RESET] = [4, 8, 16, 32];
/** CHANCTRL as Linux writes it. */
const REARM = 0x1d;
const NOWHERE = 0x7000_0000;

function setUp(options: IoatCardOptions = {}, mode: 'intx' | 'msi' | 'msix' = 'msix', faults: FaultDeclaration[] = []) {
  const clock = new ManualClock();
  const card = new IoatCard({ ...options, clock });
  const events = recordInMemory(card);
  applyFaults(card, faults);
  const host = new InProcessHost(card);
  host.useInterrupts(mode, mode === 'msix' ? (options.msixVectors ?? options.channels ?? 1) : 1);
  const registers = host.registers(0, ioatRegisters(16));
  registers.write('INTRCTRL', MASTER | (mode === 'msix' ? VECTOR_CONTROL : 0));
  const driver = new IoatDriver(host);
  const source = host.memory.allocate(1 << 17, 4096);
  const target = host.memory.allocate(1 << 17, 4096);
  source.bytes.forEach((_, at) => (source.bytes[at] = at % 251));
  /** One copy of 100 bytes, the n-th, to a place of its own. */
  const copy = (n = 0, more = {}) => ({
    ...{ sizeBytes: 100, source: source.iova + n * 100, destination: target.iova + n * 100 },
    ...more,
  });
  const moved = (bytes: number) =>
    Buffer.compare(target.bytes.subarray(0, bytes), source.bytes.subarray(0, bytes)) === 0;
  const submit = (...descriptors: Parameters<IoatDriver['submit']>) => (driver.submit(...descriptors), clock.runDue());
  return { card, clock, copy, driver, events, host, moved, registers, source, submit, target };
}

const errorsOf = (bits: number) =>
  Object.entries(CHANNEL_ERRORS).flatMap(([name, bit]) => (bits & (1 << bit) ? [name] : []));

describe('a channel of I/OAT', () => {
  it('copies what its descriptors say, and writes the address of each that asks for it', () => {
    const { copy, driver, moved, submit, target } = setUp();
    expect(driver.status).toEqual({ address: 0, state: ARMED });
    submit(copy(0), copy(1), copy(2, { reportsCompletion: 0 }));
    expect(moved(300)).toBe(true);
    expect(target.bytes[300]).toBe(0);
    expect(driver.written).toEqual({ address: driver.addressOf(1), state: ACTIVE });
    expect(driver.status).toEqual({ address: driver.addressOf(2), state: IDLE });
    expect(driver.read('CDAR')).toBe(BigInt(driver.addressOf(3)));
  });

  it('is running, for a summary of the run, until the last descriptor is complete', () => {
    const { card, clock, copy, driver } = setUp();
    driver.submit(copy());
    expect(traceOf(card).findings).toMatchObject([{ kind: 'still-running', part: 'CH0' }]);
    clock.runDue();
    expect(traceOf(card).findings).toEqual([]);
  });

  it('goes around the ring, and DMACOUNT around 65536', () => {
    const { clock, driver, target } = setUp();
    for (let round = 0; round < 65_540 / 10; round++) {
      driver.submit(...Array.from({ length: 10 }, (_, n) => fill(BigInt(round), target.iova + n * 8, 8)));
      clock.runDue();
    }
    expect(driver.read('DMACOUNT')).toBe(65_540 - 65_536);
    expect([0, 72].map((at) => target.view.getUint32(at, true))).toEqual([6553, 6553]);
    expect(driver.written).toEqual({ address: driver.addressOf(65_539), state: IDLE });
  });

  it('fills with a pattern from the start of the destination, also where it ends amid the pattern', () => {
    const { submit, target, driver } = setUp();
    submit(fill(0x8877_6655_4433_2211n, target.iova + 3, 100_001));
    const at = (n: number) => (n < 3 || n >= 100_004 ? 0 : 0x11 * (1 + ((n - 3) % 8)));
    expect(
      Buffer.compare(
        target.bytes,
        Uint8Array.from(target.bytes, (_, n) => at(n)),
      ),
    ).toBe(0);
    expect(driver.written.state).toBe(IDLE);
  });

  it('moves nothing for a null descriptor, and a size above the buffer in pieces', () => {
    const { driver, moved, source, submit, target } = setUp();
    submit({ isNull: 1, interrupt: 1 });
    expect(driver.written).toEqual({ address: driver.addressOf(0), state: IDLE });
    submit({ sizeBytes: 100_000, source: source.iova, destination: target.iova });
    expect(moved(100_000)).toBe(true);
  });

  it('reads descriptors ahead as far as they lie side by side and were handed over', () => {
    const { copy, driver, events, submit } = setUp();
    submit(copy(0), copy(1), copy(2), copy(3, { next: driver.addressOf(8) }), copy(4));
    const reads = events.flatMap((event) =>
      event.kind === 'dma-read' && event.role === 'descriptor' ? [[event.iova, event.sizeBytes]] : [],
    );
    expect(reads).toEqual([
      [driver.addressOf(0), 64],
      [driver.addressOf(1), 4 * 64],
      [driver.addressOf(8), 64],
    ]);
  });

  it('takes device time as its link says, and completes as late', () => {
    const { clock, copy, driver, submit } = setUp({ link: { bytesPerSecond: 100e6, completionLatencyNs: 5000 } });
    submit(copy(), copy(1));
    clock.advance(5999);
    expect(driver.status).toEqual({ address: 0, state: ACTIVE });
    clock.advance(1);
    expect(driver.status).toEqual({ address: driver.addressOf(0), state: ACTIVE });
    clock.advance(6000);
    expect(driver.status).toEqual({ address: driver.addressOf(1), state: IDLE });
  });
});

it('declares doorbells and structures of each channel, so that traces decode them', () => {
  const channels = new IoatCard({ channels: 2, clock: new ManualClock() }).inspection.channels();
  expect(
    channels.map(({ name, doorbells, layouts }) => [
      name,
      doorbells.map(({ path }) => path),
      layouts.map(({ role, words }) => `${role}: ${words.map((word) => word.name).join(' ')}`),
    ]),
  ).toEqual(
    [0, 1].map((index) => [
      `CH${index}`,
      [`CHANNEL[${index}].DMACOUNT`],
      ['descriptor: SIZE CONTROL SOURCE DESTINATION NEXT SOFTWARE', 'write-back: CHANSTS'],
    ]),
  );
});

describe('commands of an I/OAT channel', () => {
  const slow = { link: { completionLatencyNs: 1000 } };

  it('SUSPEND stops after the descriptor in hand, and RESUME goes on', () => {
    const { clock, copy, driver, moved, submit } = setUp(slow);
    submit(copy(0), copy(1));
    driver.write('CHANCMD', SUSPEND);
    expect([driver.read('CHANCMD'), driver.status.state]).toEqual([0, ACTIVE]);
    clock.advance(5000);
    expect(driver.status).toEqual({ address: driver.addressOf(0), state: SUSPENDED });
    driver.write('CHANCMD', RESUME);
    clock.advance(5000);
    expect([driver.status.state, moved(200)]).toEqual([IDLE, true]);
    driver.write('CHANCMD', SUSPEND);
    expect(driver.status.state).toBe(SUSPENDED);
    driver.startChain();
    submit(copy(2));
    clock.advance(1000);
    expect([driver.status.state, moved(300)]).toEqual([IDLE, true]);
  });

  it('SUSPEND does nothing before a chain has begun to run, and stops one whose doorbell has just been rung', () => {
    const { clock, copy, driver } = setUp();
    driver.write('CHANCMD', SUSPEND);
    expect(driver.status.state).toBe(ARMED);
    driver.submit(copy());
    driver.write('CHANCMD', SUSPEND);
    clock.runDue();
    expect(driver.status).toEqual({ address: 0, state: SUSPENDED });
  });

  it.each([
    ['ABORT', ABORT],
    ['RESET', RESET],
  ])('%s drops what is in hand and halts', (_name, command) => {
    const { clock, copy, driver, host, submit } = setUp(slow);
    submit(copy(0, { interrupt: 1 }));
    driver.write('CHANCMD', command);
    clock.advance(5000);
    expect(driver.status.state).toBe(HALTED);
    expect([driver.written.address, driver.errors, host.interrupts.count()]).toEqual([0, 0, 0]);
    driver.write('CHANCTRL', REARM);
    driver.startChain();
    submit(copy(1));
    clock.advance(1000);
    expect(driver.status.state).toBe(IDLE);
  });

  it('two at once are an error', () => {
    const { driver } = setUp();
    driver.write('CHANCMD', SUSPEND | RESUME);
    expect([driver.status.state, errorsOf(driver.errors)]).toEqual([HALTED, ['CHANCMD']]);
  });
});

describe('an I/OAT channel with an error', () => {
  it.each([
    ['SOURCE_ADDRESS', { source: NOWHERE }],
    ['DESTINATION_ADDRESS', { destination: NOWHERE }],
    ['DESCRIPTOR_CONTROL', { operation: 0x87 }],
    ['DESCRIPTOR_LENGTH', { sizeBytes: 0 }],
    ['DESCRIPTOR_LENGTH', { sizeBytes: (1 << 20) + 1 }],
  ])('%s halts at the descriptor, reports it, and goes on with a new chain once it is cleared', (name, wrong) => {
    const { copy, driver, host, moved, registers, submit } = setUp();
    submit(copy(0), copy(1, wrong), copy(2));
    expect(errorsOf(driver.errors)).toEqual([name]);
    expect(driver.status).toEqual({ address: driver.addressOf(0), state: HALTED });
    expect(driver.written).toEqual(driver.status);
    expect(host.interrupts.count()).toBe(1);
    expect(host.config.read32(0x180)).toBe(driver.errors);
    driver.startChain();
    expect(driver.status.state).toBe(HALTED);
    driver.write('CHANERR', driver.errors);
    host.config.write32(0x180, 0xffff_ffff);
    expect(host.config.read32(0x180)).toBe(0);
    driver.startChain();
    submit(copy(1), copy(2));
    expect([driver.errors, driver.status.state, moved(300)]).toEqual([0, IDLE, true]);
    expect(registers.read('ATTNSTATUS')).toBe(1);
  });

  it.each([
    ['NEXT_ADDRESS', NOWHERE],
    ['DESCRIPTOR_ALIGNMENT', 0x10_0020],
  ])('%s is that of a descriptor behind the first', (name, next) => {
    const { copy, driver, submit } = setUp();
    submit(copy(0, { next }), copy(1));
    expect(errorsOf(driver.errors)).toEqual([name]);
    expect(driver.status).toEqual({ address: driver.addressOf(0), state: HALTED });
  });

  it('tells a chain address that is not aligned, and a completion address that nothing answers at', () => {
    const { clock, copy, driver, submit } = setUp();
    driver.write('CHAINADDR', 0x10_0008n);
    driver.write('DMACOUNT', 1);
    clock.runDue();
    expect(errorsOf(driver.errors)).toEqual(['CHAIN_ADDRESS_VALUE']);
    driver.write('CHANERR', driver.errors);
    driver.startChain();
    driver.write('CHANCMP', BigInt(NOWHERE));
    submit(copy());
    expect(errorsOf(driver.errors)).toEqual(['COMPLETION_ADDRESS']);
  });

  it.each(['data', 'descriptor'] as const)('READ_DATA is for a read of %ss that fails on its way', (role) => {
    const { clock, copy, driver } = setUp({}, 'msix', [{ fault: 'dma-failed', reason: 'completer-abort', role }]);
    driver.submit(copy());
    clock.runDue();
    expect([errorsOf(driver.errors), driver.written.state]).toEqual([['READ_DATA'], HALTED]);
  });

  it('reads data in vain while bus mastering is off, and interrupts only if the error is not masked', () => {
    const { copy, driver, host, submit } = setUp();
    driver.write('CHANERRMSK', 1 << CHANNEL_ERRORS.READ_DATA);
    host.command(COMMAND.MEMORY_SPACE);
    submit(copy());
    expect(errorsOf(driver.errors)).toEqual(['READ_DATA', 'COMPLETION_ADDRESS']);
    host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
    expect(host.interrupts.count()).toBe(1); // for the completion, which is not masked
  });
});

describe('interrupts of I/OAT', () => {
  it.each(['intx', 'msi', 'msix'] as const)(
    'come once by %s, and again when the driver has enabled the next',
    (mode) => {
      const { copy, driver, host, registers, submit } = setUp({}, mode);
      submit(copy(0, { interrupt: 1 }));
      submit(copy(1, { interrupt: 1 }));
      expect(host.interrupts.count()).toBe(1);
      if (mode !== 'msix') {
        expect(registers.read('INTRCTRL') & 0xf).toBe(0b111);
        expect([registers.read('ATTNSTATUS'), registers.read('ATTNSTATUS')]).toEqual([1, 0]);
        host.interrupts.unmaskIntx();
        registers.write('INTRCTRL', MASTER);
      }
      expect(host.interrupts.count()).toBe(1);
      driver.write('CHANCTRL', REARM); // the second was due meanwhile
      expect(host.interrupts.count()).toBe(2);
      if (mode !== 'msix') registers.read('ATTNSTATUS');
      host.interrupts.unmaskIntx();
      driver.write('CHANCTRL', REARM);
      expect(host.interrupts.count()).toBe(2);
    },
  );

  it('are lost while the driver has not enabled the next, if the card is such a one', () => {
    const { copy, driver, host, submit } = setUp({ losesInterrupts: true });
    submit(copy(0, { interrupt: 1 }));
    submit(copy(1, { interrupt: 1 }));
    driver.write('CHANCTRL', REARM);
    expect(host.interrupts.count()).toBe(1);
    submit(copy(2, { interrupt: 1 }));
    expect(host.interrupts.count()).toBe(2);
  });

  it('have a vector for each channel if MSI-X vector control says so', () => {
    const { host, registers, source, clock } = setUp({ channels: 16 });
    const other = new IoatDriver(host, 11);
    const submit = () => {
      other.submit({ sizeBytes: 1, source: source.iova, destination: source.iova, interrupt: 1 });
      clock.runDue();
    };
    submit();
    expect([0, 11].map((vector) => host.interrupts.count(vector))).toEqual([0, 1]);
    registers.write('INTRCTRL', MASTER);
    other.write('CHANCTRL', REARM);
    submit();
    expect([0, 11].map((vector) => host.interrupts.count(vector))).toEqual([1, 1]);
    expect(registers.read('ATTNSTATUS')).toBe(1 << 11);
  });

  it.each([
    [VECTOR_CONTROL, 2],
    [0, 0],
  ])('need no MASTER_INT_EN with MSI-X vector control: INTRCTRL of %i, %i messages', (control, messages) => {
    const { copy, driver, host, registers, submit } = setUp();
    registers.write('INTRCTRL', control);
    submit(copy(0, { interrupt: 1 }));
    driver.write('CHANCTRL', REARM);
    submit(copy(1, { interrupt: 1 }));
    expect(host.interrupts.count()).toBe(messages);
  });

  it('come later, and fewer, with an interrupt delay', () => {
    const { clock, copy, host, registers, submit } = setUp();
    registers.write('INTRDELAY', 10);
    submit(copy(0, { interrupt: 1 }), copy(1, { interrupt: 1 }));
    clock.advance(9999);
    expect(host.interrupts.count()).toBe(0);
    clock.advance(1);
    expect(host.interrupts.count()).toBe(1);
  });
});

describe('options of the I/OAT card', () => {
  it('show in the registers, also after a reset', () => {
    const { host, registers } = setUp({ channels: 3, transferBits: 16, version: 3.4 });
    const shown = () => (['CHANCNT', 'XFERCAP', 'CBVER', 'DMACAPABILITY'] as const).map((name) => registers.read(name));
    expect(shown()).toEqual([3, 16, 0x34, 0x40]);
    host.reset('flr');
    expect(shown()).toEqual([3, 16, 0x34, 0x40]);
    expect(host.config.read32(0)).toBe(0x0b00_8086);
  });

  it('make it one whose address lines or length counter are narrower than they seem', () => {
    const { clock, moved, source, submit, target } = setUp({ wrapsAtBits: 24 });
    submit({ sizeBytes: 100, source: source.iova + 2 ** 32, destination: target.iova + 2 ** 40 });
    expect(moved(100)).toBe(true);
    const short = setUp({ lengthBits: 14 });
    short.submit({ sizeBytes: 16_384 + 50, source: short.source.iova, destination: short.target.iova });
    expect([short.moved(50), short.moved(51), short.driver.written.state]).toEqual([true, false, IDLE]);
    clock.runDue();
  });

  it.each([
    [{ channels: 17 }, 'channels is 17: the card takes whole numbers from 1 to 16'],
    [{ version: 3 }, 'version is 3: the card takes 3.2, 3.3, 3.4'],
    [{ transferBits: 32 }, 'transferBits is 32: the card takes whole numbers from 12 to 31'],
    [{ msixVectors: -1 }, 'msixVectors is -1: the card takes whole numbers from 0 to 16'],
    [{ lengthBits: 0 }, 'lengthBits is 0: the card takes whole numbers from 1 to 32'],
  ])('%j are refused', (options, message) => {
    expect(() => new IoatCard(options)).toThrow(new CardDefinitionError(message));
  });

  it('take interrupt mechanisms away', () => {
    const { host } = setUp({ msi: false, intx: false, channels: 4, msixVectors: 1 });
    const capabilities: number[] = [];
    for (let at = host.config.read8(0x34); at !== 0; at = host.config.read8(at + 1))
      capabilities.push(host.config.read8(at));
    expect(capabilities).not.toContain(0x05);
    expect(capabilities).toContain(0x11);
    expect(host.config.read8(0x3d)).toBe(0);
  });
});
