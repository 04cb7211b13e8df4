import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { AddressMap, DmaAccess, type DmaBacking, type RemoteMemory } from '.';
import { reasonOf } from '../../test/support/dma-errors';

/** Memory that only answers by message: what it was asked, and when it answers, is up to the test. */
class ScriptedRemote implements RemoteMemory {
  readonly bytes = new Uint8Array(64);
  readonly log: string[] = [];

  async read(iova: bigint, into: Uint8Array): Promise<void> {
    this.log.push(`read ${iova}+${into.length}`);
    into.set(this.bytes.subarray(Number(iova) - 64, Number(iova) - 64 + into.length));
  }

  async write(iova: bigint, from: Uint8Array): Promise<void> {
    this.log.push(`write ${iova}+${from.length}`);
    this.bytes.set(from, Number(iova) - 64);
  }
}

function setUp({ second = { kind: 'bytes', bytes: new Uint8Array(64) } as DmaBacking, writable = true } = {}) {
  const map = new AddressMap();
  const first = new Uint8Array(64).map((_, index) => index);
  const common = { sizeBytes: 64n, readable: true };
  map.add({ ...common, iova: 0n, writable: true, backing: { kind: 'bytes', bytes: first } });
  map.add({ ...common, iova: 64n, writable, backing: second });
  const gate = { open: true };
  return { access: new DmaAccess(map, () => gate.open), first, second, gate, map };
}

describe('DmaAccess', () => {
  it('copies at once when the memory is in this process', () => {
    const { access, first } = setUp();
    const into = new Uint8Array(3);
    expect(access.read(5, into).isDone).toBe(true);
    expect([...into]).toEqual([5, 6, 7]);
    expect(access.write(10, new Uint8Array([1, 2, 3])).isDone).toBe(true);
    expect([...first.subarray(10, 13)]).toEqual([1, 2, 3]);
  });

  it('spans mappings that touch, and moves nothing when there is a hole', () => {
    const { access, first, second } = setUp();
    access.write(60, new Uint8Array(8).fill(0xaa));
    expect([...first.subarray(60)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa]);
    expect(second.kind === 'bytes' && [...second.bytes.subarray(0, 5)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa, 0]);
    expect(reasonOf(() => access.write(100, new Uint8Array(100).fill(0xbb)))).toBe('unmapped');
    expect(second.kind === 'bytes' && second.bytes.includes(0xbb)).toBe(false);
  });

  it('an access that runs out of what is mapped, or allowed, says at which address', () => {
    const { access } = setUp({ writable: false });
    const outOfMap = expect.objectContaining({ reason: 'unmapped', iova: 100, sizeBytes: 100, faultIova: 128 });
    expect(() => access.read(100, new Uint8Array(100))).toThrow(outOfMap);
    expect(() => access.read(100, new Uint8Array(100))).toThrow('mapped for DMA, from 0x80 on');
    const readOnly = expect.objectContaining({ reason: 'not-writable', iova: 60, faultIova: 64 });
    expect(() => access.write(60, new Uint8Array(8))).toThrow(readOnly);
    const nowhere = expect.objectContaining({ reason: 'unmapped', iova: 4096, faultIova: 4096 });
    expect(() => access.read(4096, new Uint8Array(1))).toThrow(nowhere);
  });

  it('spans as many mappings as lie side by side', () => {
    const map = new AddressMap();
    const memory = new Uint8Array(1000 * 16);
    for (let page = 0; page < 1000; page++) {
      const at = (page * 7) % 1000; // side by side for the device, not in memory
      const bytes = memory.subarray(at * 16, at * 16 + 16);
      map.add({
        iova: BigInt(page * 16),
        sizeBytes: 16n,
        readable: true,
        writable: true,
        backing: { kind: 'bytes', bytes },
      });
    }
    const access = new DmaAccess(map, () => true);
    const data = new Uint8Array(999 * 16).map((_, index) => index % 251);
    access.write(8, data);
    const back = new Uint8Array(data.length);
    access.read(8, back);
    expect(back).toEqual(data);
    expect([...memory.subarray(7 * 16, 7 * 16 + 4)]).toEqual([...data.subarray(8, 12)]);
  });

  it('refuses everything while the bus-master gate is closed (PCIe 7.5.1.1.3)', () => {
    const { access, gate } = setUp();
    gate.open = false;
    expect(reasonOf(() => access.read(0, new Uint8Array(1)))).toBe('bus-master-off');
    expect(reasonOf(() => access.write32(0, 1))).toBe('bus-master-off');
  });

  it('refuses to write where the client has mapped memory read-only', () => {
    const { access } = setUp({ writable: false });
    expect(reasonOf(() => access.write(64, new Uint8Array(1)))).toBe('not-writable');
    expect(reasonOf(() => access.write(63, new Uint8Array(2)))).toBe('not-writable');
    expect(access.read(64, new Uint8Array(1)).isDone).toBe(true);
  });

  it('looks addresses up in the current map', () => {
    const { access, map } = setUp();
    access.read(0, new Uint8Array(1));
    map.remove(0n, 64n);
    expect(reasonOf(() => access.read(0, new Uint8Array(1)))).toBe('unmapped');
  });

  it('stores words little-endian, and only at multiples of 4', () => {
    const { access, first } = setUp();
    access.write32(8, 0x8765_4321);
    expect([...first.subarray(8, 12)]).toEqual([0x21, 0x43, 0x65, 0x87]);
    expect(() => access.write32(9, 0)).toThrow('must be a multiple of 4');
    access.write64(16, 0xfedc_ba98_8765_4321n);
    expect([...first.subarray(16, 24)]).toEqual([0x21, 0x43, 0x65, 0x87, 0x98, 0xba, 0xdc, 0xfe]);
    expect(() => access.write64(20, 0n)).toThrow('write64 at 0x14: the address must be a multiple of 8');
  });

  it('stores a word of 64 bits also where the memory behind the mapping lies askew, or is reached by message', async () => {
    const askew = new Uint8Array(65).subarray(1);
    const { access, map } = setUp({ second: { kind: 'bytes', bytes: askew } });
    access.write64(72, 0x0807_0605_0403_0201n);
    expect([...askew.subarray(8, 16)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const memory = new ScriptedRemote();
    map.remove(64n, 64n);
    map.add({ iova: 64n, sizeBytes: 64n, readable: true, writable: true, backing: { kind: 'remote', memory } });
    await access.write64(72, 0x0807_0605_0403_0201n).promise();
    expect(memory.log).toEqual(['write 72+8']);
  });

  describe.each([4, 8] as const)('a word of %d bytes that a processor polls or writes at the same time', (size) => {
    /** Another thread stores `all ones` and 0 in turn, and counts what it loads that is neither. */
    async function besideAnotherThread(use: (access: DmaAccess, isDone: () => boolean) => void): Promise<number> {
      const shared = new SharedArrayBuffer(32);
      const map = new AddressMap();
      const backing: DmaBacking = { kind: 'bytes', bytes: new Uint8Array(shared) };
      map.add({ iova: 0n, sizeBytes: 32n, readable: true, writable: true, backing });
      const worker = new Worker(
        `const { parentPort, workerData: { shared, size } } = require('node:worker_threads');
         const words = size === 8 ? new BigUint64Array(shared) : new Uint32Array(shared);
         const [none, ones] = size === 8 ? [0n, 0xffff_ffff_ffff_ffffn] : [0, 0xffff_ffff];
         let torn = 0;
         for (let round = 0; round < 200_000; round++) {
           Atomics.store(words, 0, round % 2 ? ones : none);
           const seen = Atomics.load(words, 1);
           if (seen !== none && seen !== ones) torn++;
         }
         Atomics.store(new Uint8Array(shared), 31, 1);
         parentPort.postMessage(torn);`,
        { eval: true, workerData: { shared, size } },
      );
      const torn = new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
      const done = new Uint8Array(shared);
      use(new DmaAccess(map, () => true), () => Atomics.load(done, 31) === 1);
      return torn;
    }

    it('is never seen torn by either', async () => {
      const into = new Uint8Array(size);
      const seenByCard = new Set<string>();
      const tornForDriver = await besideAnotherThread((access, isDone) => {
        for (let round = 0; !isDone(); round++) {
          access.read(0, into);
          seenByCard.add(Buffer.from(into).toString('hex'));
          if (size === 8) access.write64(8, round % 2 ? 0xffff_ffff_ffff_ffffn : 0n);
          else access.write32(4, round % 2 ? 0xffff_ffff : 0);
        }
      });
      expect(tornForDriver).toBe(0);
      expect([...seenByCard].filter((hex) => !/^(00)+$|^(ff)+$/.test(hex))).toEqual([]);
    });
  });

  it('is pending for memory that is reached by message, and keeps address order across the border', async () => {
    const remote = new ScriptedRemote();
    const { access, first } = setUp({ second: { kind: 'remote', memory: remote } });
    const pending = access.write(62, new Uint8Array([1, 2, 3, 4]));
    expect(pending.isDone).toBe(false);
    await pending.promise();
    expect([...first.subarray(62)]).toEqual([1, 2]);
    expect([...remote.bytes.subarray(0, 2)]).toEqual([3, 4]);
    const into = new Uint8Array(4);
    await access.read(62, into).promise();
    expect([...into]).toEqual([1, 2, 3, 4]);
    await access.write32(64, 7).promise();
    expect(remote.log).toEqual(['write 64+2', 'read 64+2', 'write 64+4']);
  });

  describe('by message', () => {
    const piece = 1 << 20;

    /** Four pieces of memory whose client answers when the test says so. */
    function slow() {
      const asked: { access: 'read' | 'write'; iova: bigint; answer: () => Promise<void> }[] = [];
      const ask = (access: 'read' | 'write') => (iova: bigint, bytes: Uint8Array) =>
        new Promise<void>((resolve) => {
          const answer = async (): Promise<void> => {
            if (access === 'read') bytes.fill(0xaa);
            resolve();
            await new Promise((turn) => setImmediate(turn));
          };
          asked.push({ access, iova, answer });
        });
      const map = new AddressMap();
      const backing: DmaBacking = { kind: 'remote', memory: { read: ask('read'), write: ask('write') } };
      map.add({ iova: 0n, sizeBytes: BigInt(4 * piece), readable: true, writable: true, backing });
      const gate = { open: true };
      return { access: new DmaAccess(map, () => gate.open), asked, gate, map };
    }

    it('a long access goes piece after piece', async () => {
      const { access, asked } = slow();
      const done = access.write(16, new Uint8Array(2 * piece + 1)).promise();
      for (let index = 0; index < 3; index++) await asked[index]!.answer();
      await done;
      expect(asked.map(({ iova }) => iova)).toEqual([16n, BigInt(piece) + 16n, BigInt(2 * piece) + 16n]);
    });

    it('an access that a reset discards fails, delivers nothing and sends no further message', async () => {
      const { access, asked } = slow();
      const into = new Uint8Array(2 * piece);
      const done = access.read(0, into).promise();
      const failure = expect(done).rejects.toMatchObject({ name: 'DmaError', reason: 'reset' });
      access.drop();
      await asked[0]!.answer();
      await failure;
      expect(into.every((byte) => byte === 0)).toBe(true);
      expect(asked).toHaveLength(1);
    });

    it('an access that begins after a reset is not discarded', async () => {
      const { access, asked } = slow();
      access.drop();
      const into = new Uint8Array(4);
      const done = access.read(0, into).promise();
      await asked[0]!.answer();
      await done;
      expect([...into]).toEqual([0xaa, 0xaa, 0xaa, 0xaa]);
    });

    it('closing the bus-master gate ends an access after the piece under way', async () => {
      const { access, asked, gate } = slow();
      const done = access.write(0, new Uint8Array(2 * piece)).promise();
      const failure = expect(done).rejects.toMatchObject({ reason: 'bus-master-off', iova: piece });
      gate.open = false;
      await asked[0]!.answer();
      await failure;
      expect(asked).toHaveLength(1);
    });

    it('what lies behind it is looked up when it is reached: a mapping that has been removed by then is not touched', async () => {
      const { access, asked, map } = slow();
      const behind = new Uint8Array(64);
      const iova = BigInt(4 * piece);
      map.add({ iova, sizeBytes: 64n, readable: true, writable: true, backing: { kind: 'bytes', bytes: behind } });
      const done = access.write(4 * piece - 4, new Uint8Array(8).fill(1)).promise();
      const failure = expect(done).rejects.toMatchObject({ reason: 'unmapped', iova: 4 * piece });
      map.remove(iova, 64n);
      await asked[0]!.answer();
      await failure;
      expect(behind.every((byte) => byte === 0)).toBe(true);
    });
  });

  it('says what was attempted and what is wrong', () => {
    const { access } = setUp();
    expect(() => access.read(0x1000, new Uint8Array(16))).toThrow(
      'DMA read of 16 bytes at 0x1000: not (wholly) inside memory that the client has mapped for DMA',
    );
  });
});
