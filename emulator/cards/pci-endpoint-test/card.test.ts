import { describe, expect, it } from 'vitest';
import { crc32 } from 'node:zlib';
import { recordInMemory } from '../../../test/support/traces';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import { CardDefinitionError } from '../../pci';
import { PciEndpointTestCard, type PciEndpointTestCardOptions } from './card';
import { IRQ_TYPES, PCI_ENDPOINT_TEST_REGISTERS } from './registers';

const [RAISE_INTX, RAISE_MSI, RAISE_MSIX, READ, WRITE, COPY] = [1, 2, 4, 8, 16, 32] as const;
const IRQ_RAISED = 1 << 6;
const NOWHERE = 0x7000_0000;

/** What Linux' driver does: buffers, an interrupt for each command, and a CRC. */
function setUp(
  options: PciEndpointTestCardOptions = {},
  mode: 'intx' | 'msi' | 'msix' = 'msi',
  vectors = { intx: 1, msi: options.msiVectors ?? 32, msix: options.msixVectors ?? 32 }[mode],
) {
  const clock = new ManualClock();
  const card = new PciEndpointTestCard({ ...options, clock });
  const events = recordInMemory(card);
  const host = new InProcessHost(card);
  host.useInterrupts(mode, vectors);
  const driver = host.registers(0, PCI_ENDPOINT_TEST_REGISTERS);
  const buffer = host.memory.allocate(200_000, 4096);
  const target = host.memory.allocate(200_000, 4096);
  buffer.bytes.forEach((_, at) => (buffer.bytes[at] = (at * 7) % 251));
  const command = (bits: number, { number = 1, flags = 0, size = 1025, from = buffer.iova, to = target.iova } = {}) => {
    driver.write('LOWER_SRC_ADDR', from % 2 ** 32);
    driver.write('UPPER_SRC_ADDR', Math.floor(from / 2 ** 32));
    driver.write('LOWER_DST_ADDR', to % 2 ** 32);
    driver.write('UPPER_DST_ADDR', Math.floor(to / 2 ** 32));
    driver.write('SIZE', size);
    driver.write('FLAGS', flags);
    driver.write('IRQ_TYPE', { intx: IRQ_TYPES.INTX, msi: IRQ_TYPES.MSI, msix: IRQ_TYPES.MSIX }[mode]);
    driver.write('IRQ_NUMBER', number);
    driver.write('COMMAND', bits);
    clock.runDue();
    return statusOf(driver.read('STATUS'));
  };
  return { buffer, card, clock, command, driver, events, host, target };
}

const statusOf = (status: number) =>
  Object.entries(PCI_ENDPOINT_TEST_REGISTERS.spec.STATUS.fields).flatMap(([name, { bits }]) =>
    status & (1 << bits[0]) ? [name] : [],
  );
const checksum = (bytes: Uint8Array) => ~crc32(bytes) >>> 0;

describe('PciEndpointTestCard', () => {
  it('reads host memory, and says whether its CRC is the one that the driver gave', () => {
    const { buffer, command, driver } = setUp();
    driver.write('CHECKSUM', checksum(buffer.bytes.subarray(0, 150_001)));
    expect(command(READ, { size: 150_001 })).toEqual(['READ_SUCCESS', 'IRQ_RAISED']);
    buffer.bytes[150_000]! ^= 1;
    expect(command(READ, { size: 150_001 })).toEqual(['READ_FAIL', 'IRQ_RAISED']);
    expect(driver.read('COMMAND')).toBe(0);
  });

  it('leaves registers their turn while it moves gigabytes, and a reset ends it', () => {
    const { card, clock, command, driver } = setUp();
    const seen: number[] = [];
    const look = (): void => {
      seen.push(driver.read('STATUS'));
      if (seen.length < 3) clock.after(0, look);
      else card.reset();
    };
    clock.after(0, look);
    command(WRITE, { size: 0xffff_ffff, to: NOWHERE });
    expect(seen).toEqual([0, 0, 0]);
    expect(card.registers.get('STATUS')).toBe(0);
  });

  it('writes other bytes each time, none beyond the size, with their CRC', () => {
    const { command, driver, target } = setUp();
    expect(command(WRITE, { size: 150_001 })).toEqual(['WRITE_SUCCESS', 'IRQ_RAISED']);
    const first = target.bytes.slice(0, 150_001);
    expect(driver.read('CHECKSUM')).toBe(checksum(first));
    expect(target.bytes[150_001]).toBe(0);
    command(WRITE, { size: 150_001 });
    expect(driver.read('CHECKSUM')).not.toBe(checksum(first));
  });

  it('copies, also unaligned, by the processor or by the DMA engine', () => {
    const { buffer, command, events, target } = setUp();
    expect(command(COPY, { size: 100_001, from: buffer.iova + 3 })).toEqual(['COPY_SUCCESS', 'IRQ_RAISED']);
    command(COPY, { size: 7, to: target.iova + 150_000, flags: 1 });
    expect(target.bytes.subarray(0, 100_001)).toEqual(buffer.bytes.subarray(3, 100_004));
    expect(target.bytes.subarray(150_000, 150_008)).toEqual(Uint8Array.of(...buffer.bytes.subarray(0, 7), 0));
    const channels = events.flatMap((event) => (event.kind === 'dma-write' ? [event.channel] : []));
    expect([...new Set(channels)]).toEqual(['CPU', 'DMA']);
  });

  it('raises each MSI and each MSI-X vector by its number from 1, and INTx until the driver has cleared IRQ_RAISED', () => {
    for (const [mode, bit] of [
      ['msi', RAISE_MSI],
      ['msix', RAISE_MSIX],
    ] as const) {
      const { command, host } = setUp({}, mode);
      for (let number = 1; number <= 32; number++) expect(command(bit, { number })).toEqual(['IRQ_RAISED']);
      const counts = Array.from({ length: 32 }, (_, vector) => host.interrupts.count(vector));
      expect(counts).toEqual(Array.from({ length: 32 }, () => 1));
    }
    const { command, driver, host } = setUp({}, 'intx');
    expect(command(RAISE_INTX)).toEqual(['IRQ_RAISED']);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
    driver.write('STATUS', driver.read('STATUS') & ~IRQ_RAISED);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
  });

  it('raises nothing that was not granted, is of another mode or number 0, and does not say it had', () => {
    const granted = setUp({}, 'msi', 4);
    expect([0, 4, 5].map((number) => granted.command(RAISE_MSI, { number }))).toEqual([[], ['IRQ_RAISED'], []]);
    expect(granted.command(RAISE_MSIX)).toEqual([]);
    expect([0, 1, 2, 3].map((vector) => granted.host.interrupts.count(vector))).toEqual([0, 0, 0, 1]);
  });

  it('fails a transfer of which a read fails, and never learns that a write was lost', () => {
    const { command, host } = setUp();
    expect(command(READ, { from: NOWHERE })).toEqual(['READ_FAIL', 'IRQ_RAISED', 'SRC_ADDR_INVALID']);
    expect(command(WRITE, { to: 2 ** 40 })).toEqual(['WRITE_SUCCESS', 'IRQ_RAISED']);
    expect(command(COPY, { to: NOWHERE })).toEqual(['COPY_SUCCESS', 'IRQ_RAISED']);
    host.command(COMMAND.MEMORY_SPACE);
    expect(command(COPY)).toEqual(['COPY_FAIL', 'IRQ_RAISED', 'SRC_ADDR_INVALID']);
  });

  it('does not answer what asks for a DMA engine that it has not, nor an interrupt type that there is not', () => {
    const { command, driver, host, clock } = setUp({ dma: false });
    expect(command(COPY, { flags: 1 })).toEqual([]);
    driver.write('IRQ_TYPE', 3);
    driver.write('FLAGS', 0);
    driver.write('COMMAND', COPY);
    clock.runDue();
    expect([driver.read('STATUS'), host.interrupts.count()]).toEqual([0, 0]);
  });

  it('has BARs of 64 KiB, 512 bytes, 1 KiB, 16 KiB, 128 KiB and 1 MiB, which hold what is written', () => {
    const { host } = setUp();
    const sizes = [0x1_0000, 512, 1024, 16 << 10, 128 << 10, 1 << 20];
    expect(host.device.layout.regions.slice(0, 6).map(({ sizeBytes }) => sizeBytes)).toEqual(sizes);
    for (const [index, sizeBytes] of sizes.entries()) {
      const last = index === 0 ? 0 : sizeBytes - 4;
      host.bar(index).write32(last, 0xa0a0_a0a0);
      expect(host.bar(index).read32(last)).toBe(0xa0a0_a0a0);
    }
  });

  it('is as late as its link says, and is asked for another command only then', () => {
    const { clock, command, driver } = setUp({ link: { bytesPerSecond: 100e6, completionLatencyNs: 5000 } });
    expect(command(WRITE, { size: 100 })).toEqual([]);
    driver.write('COMMAND', COPY);
    clock.advance(5999);
    expect(statusOf(driver.read('STATUS'))).toEqual([]);
    clock.advance(1);
    expect(driver.read('COMMAND')).toBe(0);
    clock.advance(6000);
    expect(statusOf(driver.read('STATUS'))).toEqual(['COPY_SUCCESS', 'IRQ_RAISED']);
  });

  it('stops in a reset', () => {
    const { clock, command, driver, host } = setUp({ link: { completionLatencyNs: 5000 } });
    command(WRITE);
    host.reset('flr');
    clock.advance(10_000);
    expect(driver.read('STATUS')).toBe(0);
    expect(driver.read('CAPS')).toBe(0xf);
  });

  it('shows in CAPS which interrupts it has, and drops what its narrow parts do not hold', () => {
    const { command, driver, target } = setUp({ intx: false, msixVectors: 0, wrapsAtBits: 32, lengthBits: 14 });
    expect(driver.read('CAPS')).toBe(0b0011);
    command(WRITE, { size: (1 << 14) + 100, to: 2 ** 32 + target.iova });
    expect(driver.read('CHECKSUM')).toBe(checksum(target.bytes.subarray(0, 100)));
    expect(target.bytes[100]).toBe(0);
  });

  it('refuses options that no such card has', () => {
    expect(() => new PciEndpointTestCard({ msiVectors: 3 })).toThrow(CardDefinitionError);
    expect(() => new PciEndpointTestCard({ msixVectors: 2049 })).toThrow('msixVectors is 2049');
  });
});
