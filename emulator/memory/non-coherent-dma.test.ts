import { describe, expect, it } from 'vitest';
import { AddressMap, DmaAccess, NonCoherentDma, type RemoteMemory } from '.';
import { reasonOf } from '../../test/support/dma-errors';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

function setUp({ limitBytes = 1 << 20, writable = true } = {}) {
  const map = new AddressMap();
  const memory = new Uint8Array(0x4000).map((_, at) => at % 251);
  const common = { sizeBytes: 0x2000n, readable: true };
  const piece = (from: number) => ({ kind: 'bytes' as const, bytes: memory.subarray(from, from + 0x2000) });
  map.add({ ...common, iova: 0x1_0000n, writable: true, backing: piece(0) });
  map.add({ ...common, iova: 0x1_2000n, writable, backing: piece(0x2000) });
  const gate = { open: true };
  const dma = new NonCoherentDma(new DmaAccess(map, () => gate.open), new DmaAccess(map, () => true), limitBytes);
  const read = (address: number, sizeBytes: number) => {
    const into = new Uint8Array(sizeBytes);
    expect(dma.read(address, into).isDone).toBe(true);
    return into;
  };
  return { dma, gate, map, memory, read };
}

describe('memory that is not coherent', () => {
  it('reads as a recognisable text where nothing has ever been synchronised', () => {
    const { dma, read } = setUp();
    expect(text(read(0x1_0010, 32))).toBe('NOT SYNCHRONISEDNOT SYNCHRONISED');
    expect(text(read(0x1_0004, 12))).toBe('SYNCHRONISED');
    expect(dma.counts).toMatchObject({ neverSynchronised: 44, stale: 0 });
    expect(dma.lastBadRead).toBe(0x1_0004);
  });

  it('reads as it was when it was synchronised for the device, whatever has been written since', () => {
    const { dma, memory, read } = setUp();
    const before = memory.slice(0x40, 0xc0);
    dma.synchroniseForDevice(0x1_0040, 128);
    memory.fill(0xee, 0x80, 0xc0);
    for (let time = 0; time < 3; time++) expect(read(0x1_0040, 128)).toEqual(before);
    expect(dma.counts).toMatchObject({ neverSynchronised: 0, stale: 3 * 64 });
    dma.synchroniseForDevice(0x1_0080, 64);
    expect(read(0x1_0080, 64)).toEqual(memory.subarray(0x80, 0xc0));
    expect(dma.counts.stale).toBe(3 * 64);
  });

  it('is synchronised by whole lines of 64 bytes, and no more', () => {
    const { dma, memory, read } = setUp();
    dma.synchroniseForDevice(0x1_0041, 64);
    expect(read(0x1_0040, 128)).toEqual(memory.subarray(0x40, 0xc0));
    expect(text(read(0x1_0030, 16)) + text(read(0x1_00c0, 16))).toBe('NOT SYNCHRONISEDNOT SYNCHRONISED');
  });

  it('keeps from the processor what the device writes, until that is synchronised for it', () => {
    const { dma, memory, read } = setUp();
    const before = memory.slice();
    dma.write(0x1_0045, new Uint8Array([1, 2, 3]));
    dma.write32(0x1_0050, 0x0403_0201);
    expect(memory).toEqual(before);
    dma.write64(0x1_0058, 0x0807_0605_0403_0201n);
    expect([...read(0x1_0058, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...read(0x1_0045, 3), ...read(0x1_0050, 4)]).toEqual([1, 2, 3, 1, 2, 3, 4]);
    expect(dma.counts).toMatchObject({ awaitingCpu: 15, neverSynchronised: 0, stale: 0 });
    dma.synchroniseForCpu(0x1_0080, 64);
    expect(memory).toEqual(before);
    dma.synchroniseForCpu(0x1_0045, 1);
    before.set([1, 2, 3], 0x45);
    before.set([1, 2, 3, 4], 0x50);
    before.set([1, 2, 3, 4, 5, 6, 7, 8], 0x58);
    expect(memory).toEqual(before);
    expect(dma.counts.awaitingCpu).toBe(0);
  });

  it('gives the processor the bytes that the device has written, and leaves those beside them', () => {
    const { dma, memory } = setUp();
    dma.write(0x1_0044, new Uint8Array([1]));
    memory[0x43] = memory[0x45] = 0xcc;
    dma.synchroniseForCpu(0x1_0040, 64);
    expect([...memory.subarray(0x43, 0x46)]).toEqual([0xcc, 1, 0xcc]);
    dma.synchroniseForCpu(0x1_0040, 64);
    memory[0x44] = 7;
    dma.synchroniseForCpu(0x1_0040, 64);
    expect(memory[0x44]).toBe(7);
  });

  it('loses what the device has written to a line that is synchronised for it, as a line that is written back does', () => {
    const { dma, memory, read } = setUp();
    dma.write(0x1_0044, new Uint8Array([1, 2]));
    dma.synchroniseForDevice(0x1_0060, 4);
    expect(read(0x1_0040, 64)).toEqual(memory.subarray(0x40, 0x80));
    expect(dma.counts).toMatchObject({ overwritten: 2, awaitingCpu: 0 });
  });

  it('spans pages and mappings that touch', () => {
    const { dma, memory, read } = setUp();
    dma.synchroniseForDevice(0x1_1f80, 0x100);
    expect(read(0x1_1f80, 0x100)).toEqual(memory.subarray(0x1f80, 0x2080));
    dma.write(0x1_1ffe, new Uint8Array([1, 2, 3, 4]));
    dma.synchroniseForCpu(0x1_0000, 0x4000);
    expect([...memory.subarray(0x1ffe, 0x2002)]).toEqual([1, 2, 3, 4]);
  });

  it('is forgotten with its mapping', () => {
    const { dma, map, memory, read } = setUp();
    dma.synchroniseForDevice(0x1_1fc0, 128);
    dma.write(0x1_2000, new Uint8Array([1]));
    map.remove(0x1_2000n, 0x2000n);
    dma.unmapped(0x1_2000, 0x2000);
    const backing = { kind: 'bytes' as const, bytes: memory.subarray(0x2000) };
    map.add({ iova: 0x1_2000n, sizeBytes: 0x2000n, readable: true, writable: true, backing });
    expect(text(read(0x1_2000, 16))).toBe('NOT SYNCHRONISED');
    expect(read(0x1_1fc0, 64)).toEqual(memory.subarray(0x1fc0, 0x2000));
    expect(dma.counts.awaitingCpu).toBe(0);
  });

  it('is forgotten when everything is cleared; what has been counted is not', () => {
    const { dma, memory, read } = setUp();
    const before = memory.slice();
    dma.synchroniseForDevice(0x1_0000, 64);
    dma.write(0x1_0000, new Uint8Array(8));
    dma.clear();
    dma.synchroniseForCpu(0x1_0000, 64);
    expect(memory).toEqual(before);
    expect(text(read(0x1_0000, 16))).toBe('NOT SYNCHRONISED');
    dma.clear();
    expect(dma.counts).toMatchObject({ neverSynchronised: 16, awaitingCpu: 0 });
  });

  it('is refused to the device as other memory is: unmapped, read-only, or without bus mastering', () => {
    const { dma, gate } = setUp({ writable: false });
    expect(reasonOf(() => dma.read(0x2_0000, new Uint8Array(1)))).toBe('unmapped');
    expect(reasonOf(() => dma.write(0x1_3fff, new Uint8Array(2)))).toBe('not-writable');
    expect(reasonOf(() => dma.write(0x1_1fff, new Uint8Array(2)))).toBe('not-writable');
    expect(reasonOf(() => dma.synchroniseForDevice(0x1_3fff, 2))).toBe('unmapped');
    expect(reasonOf(() => dma.synchroniseForCpu(0x1_2000, 1))).toBe('not-writable');
    gate.open = false;
    expect(reasonOf(() => dma.read(0x1_0000, new Uint8Array(1)))).toBe('bus-master-off');
    expect(reasonOf(() => dma.write32(0x1_0000, 1))).toBe('bus-master-off');
    expect(dma.counts).toMatchObject({ neverSynchronised: 0, awaitingCpu: 0 });
  });

  it('is synchronised by the processor, which needs no bus mastering', () => {
    const { dma, gate, memory, read } = setUp();
    gate.open = false;
    dma.synchroniseForDevice(0x1_0000, 64);
    gate.open = true;
    expect(read(0x1_0000, 64)).toEqual(memory.subarray(0, 64));
  });

  it('has a limit, beyond which nothing changes and the error says what to do', () => {
    const { dma, memory, read } = setUp({ limitBytes: 0x2000 });
    expect(() => dma.synchroniseForDevice(0x1_0000, 0x2001)).toThrow(/8192 bytes, and 0 are taken; reset the card, or/);
    dma.synchroniseForDevice(0x1_0000, 0x2000);
    dma.synchroniseForDevice(0x1_0800, 0x1000);
    expect(reasonOf(() => dma.write(0x1_1fff, new Uint8Array(2)))).toBe('view-full');
    expect(read(0x1_1fff, 1)[0]).toBe(memory[0x1fff]);
    dma.clear();
    expect(dma.write(0x1_2000, new Uint8Array(2)).isDone).toBe(true);
  });

  it('takes no room for what the device has written and the processor has been given', () => {
    const { dma, memory } = setUp({ limitBytes: 0x1000 });
    for (let page = 0; page < 4; page++) {
      dma.write(0x1_0000 + page * 0x1000, new Uint8Array([0xaa]));
      dma.synchroniseForCpu(0x1_0000 + page * 0x1000, 64);
      expect(memory[page * 0x1000]).toBe(0xaa);
    }
  });

  it('may be reached by message only: synchronising is done when the client has answered', async () => {
    const bytes = new Uint8Array(128).fill(5);
    const memory: RemoteMemory = {
      read: async (iova, into) => into.set(bytes.subarray(Number(iova), Number(iova) + into.length)),
      write: async (iova, from) => bytes.set(from, Number(iova)),
    };
    const map = new AddressMap();
    map.add({ iova: 0n, sizeBytes: 128n, readable: true, writable: true, backing: { kind: 'remote', memory } });
    const dma = new NonCoherentDma(new DmaAccess(map, () => true), new DmaAccess(map, () => true));
    const into = new Uint8Array(16);
    await dma.read(0, into).promise();
    expect(text(into)).toBe('NOT SYNCHRONISED');
    await dma.synchroniseForDevice(0, 1).promise();
    bytes.fill(6);
    await dma.read(0, into).promise();
    expect(into).toEqual(new Uint8Array(16).fill(5));
    dma.write(64, new Uint8Array([1, 2]));
    expect(bytes[64]).toBe(6);
    await dma.synchroniseForCpu(64, 1).promise();
    expect([...bytes.subarray(64, 67)]).toEqual([1, 2, 6]);
    const late = dma.synchroniseForDevice(0, 128);
    dma.clear();
    await expect(late.promise()).rejects.toMatchObject({ reason: 'reset' });
  });
});
