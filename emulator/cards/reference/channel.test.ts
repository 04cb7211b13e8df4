/**
 * The engine where host memory is reached by message: every access completes later, in the order it was made. What the
 * engine does on memory in this process is tested on the reference card (emulator/cards/reference/card.test.ts).
 */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../clock';
import { AddressMap, DmaAccess, DmaError, type RemoteMemory } from '../../memory';
import { RegisterFile, registerMap } from '../../registers';
import { CardMemoryEndpoint, Link, unlimitedLink } from '../../dma';
import { DmaChannel } from './channel';
import { type Descriptor, encodeDescriptor } from './descriptor';
import { CHANNEL_REGISTERS, DESCRIPTOR_BYTES } from './layout';

/** A client's memory: replies one event-loop turn after a request, and keeps a log of the requests. */
class SlowMemory implements RemoteMemory {
  readonly bytes = new Uint8Array(0x10000);
  readonly log: string[] = [];
  refuses: ((address: number) => boolean) | undefined;

  async read(iova: bigint, into: Uint8Array): Promise<void> {
    await this.#answer('read', Number(iova), into.length);
    into.set(this.bytes.subarray(Number(iova), Number(iova) + into.length));
  }

  async write(iova: bigint, from: Uint8Array): Promise<void> {
    const data = from.slice();
    await this.#answer('write', Number(iova), from.length);
    this.bytes.set(data, Number(iova));
  }

  async #answer(access: 'read' | 'write', address: number, sizeBytes: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.refuses?.(address)) throw new DmaError('client-error', access, address, sizeBytes);
    this.log.push(`${access} 0x${address.toString(16)}+${sizeBytes}`);
  }
}

const RING = 0x1000;
const WRITEBACK = 0x2000;
const BUFFER = 0x3000;

function setUp(direction: 'h2c' | 'c2h') {
  const remote = new SlowMemory();
  const map = new AddressMap();
  map.add({
    iova: 0n,
    sizeBytes: 0x10000n,
    readable: true,
    writable: true,
    backing: { kind: 'remote', memory: remote },
  });
  const registers = new RegisterFile(registerMap({ CHANNEL: { offset: 0, registers: CHANNEL_REGISTERS } }));
  const clock = new ManualClock();
  const cardMemory = new Uint8Array(0x1000);
  const endpoint = new CardMemoryEndpoint({ bytes: cardMemory });
  const interrupts: string[][] = [];
  const channel = new DmaChannel({
    registers: registers.block('CHANNEL', 0),
    port: () => new DmaAccess(map, () => true),
    clock,
    link: new Link(clock, unlimitedLink),
    endpoint: direction === 'h2c' ? { h2c: () => endpoint } : { c2h: () => endpoint },
    addressBits: 64,
    maxLengthBytes: 0x1000,
    interrupt: () => interrupts.push([...remote.log]),
  });
  const write32 = (offset: number, value: number): void => {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, value, true);
    registers.write(offset, data);
  };
  write32(0x08, RING);
  write32(0x10, 8);
  write32(0x20, WRITEBACK);
  write32(0x00, 1);
  const submit = (producer: number, ...descriptors: Partial<Descriptor>[]): void => {
    descriptors.forEach((descriptor, index) => {
      const whole = {
        owner: true,
        interrupt: false,
        endOfPacket: false,
        lengthBytes: 16,
        hostAddress: BUFFER,
        cardAddress: 0,
      };
      remote.bytes.set(encodeDescriptor({ ...whole, ...descriptor }), RING + index * DESCRIPTOR_BYTES);
    });
    write32(0x14, producer);
    clock.runDue();
  };
  return { remote, registers, clock, cardMemory, interrupts, channel, submit, write32 };
}

describe('DmaChannel on memory that is reached by message', () => {
  it('keeps the order data, descriptor, write-back, interrupt (PCIe 2.4.1)', async () => {
    const { remote, submit, cardMemory, interrupts } = setUp('c2h');
    cardMemory.fill(0x5a, 0, 16);
    submit(1, { interrupt: true });
    await expect.poll(() => interrupts.length).toBe(1);
    expect(interrupts[0]).toEqual([
      'read 0x1000+32',
      'write 0x3000+16',
      'write 0x1018+4',
      'write 0x101c+4',
      'write 0x1000+4',
      'write 0x2004+4',
      'write 0x2008+4',
      'write 0x2000+4',
    ]);
    expect([...remote.bytes.subarray(BUFFER, BUFFER + 16)]).toEqual(Array(16).fill(0x5a));
  });

  it('ends a fetch and a request for data where a 4 KiB page ends (PCIe 2.2.7)', async () => {
    const { remote, submit, write32, interrupts } = setUp('h2c');
    const ring = RING - 2 * DESCRIPTOR_BYTES;
    write32(0x08, ring);
    const common = { owner: true, endOfPacket: false, cardAddress: 0, lengthBytes: 16 };
    const descriptors = [false, false, true].map((interrupt, index) =>
      encodeDescriptor({ ...common, interrupt, hostAddress: BUFFER - 8 + 0x100 * index }),
    );
    descriptors.forEach((bytes, index) => remote.bytes.set(bytes, ring + index * DESCRIPTOR_BYTES));
    submit(3);
    await expect.poll(() => interrupts.length).toBe(1);
    expect(remote.log.filter((line) => line.startsWith('read'))).toEqual([
      ...['read 0xfc0+64', 'read 0x2ff8+8', 'read 0x3000+8', 'read 0x30f8+16'],
      ...['read 0x1000+32', 'read 0x31f8+16'],
    ]);
  });

  it('takes a doorbell that comes while it reports', async () => {
    const { submit, clock, registers, remote } = setUp('h2c');
    submit(1, {}, {}, {});
    await expect.poll(() => remote.log.some((line) => line.startsWith('write 0x2000'))).toBe(true);
    submit(3);
    await expect.poll(() => (clock.runDue(), registers.get('CHANNEL[0].COMPLETED'))).toBe(3);
    expect(registers.get('CHANNEL[0].CONSUMER_INDEX')).toBe(3);
  });

  it('reports an access that the client refuses as a bad host address', async () => {
    const { remote, submit, registers, interrupts } = setUp('h2c');
    remote.refuses = (address) => address === BUFFER;
    submit(1, {});
    await expect.poll(() => interrupts.length).toBe(1);
    expect(registers.get('CHANNEL[0].STATUS.ERROR_CODE')).toBe(3);
    expect(registers.get('CHANNEL[0].ERROR_ADDRESS')).toBe(BigInt(BUFFER));
  });

  it('discards a reply that comes after a reset', async () => {
    const { remote, submit, registers, channel, interrupts } = setUp('h2c');
    submit(1, { interrupt: true });
    channel.reset();
    await expect.poll(() => remote.log).toEqual(['read 0x1000+32']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(registers.get('CHANNEL[0].COMPLETED')).toBe(0);
    expect(interrupts).toEqual([]);
  });

  it('continues when the driver clears an error while it is still being written back', async () => {
    const { remote, submit, registers, write32, clock } = setUp('h2c');
    remote.refuses = (address) => address === BUFFER;
    submit(1, {});
    await expect.poll(() => registers.get('CHANNEL[0].STATUS.HALTED')).toBe(1);
    remote.refuses = undefined;
    write32(0x04, 4);
    await expect.poll(() => (clock.runDue(), registers.get('CHANNEL[0].COMPLETED'))).toBe(1);
  });
});
