import { describe, expect, it } from 'vitest';
import { AddressMap, DmaAccess, type DmaBacking, DmaError, type RemoteMemory } from '.';

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

function reasonOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof DmaError) return error.reason;
    throw error;
  }
  return 'no error';
}

describe('DmaAccess', () => {
  it('copies at once when the memory is in this process', () => {
    const { access, first } = setUp();
    const into = new Uint8Array(3);
    expect(access.read(5, into)).toBeUndefined();
    expect([...into]).toEqual([5, 6, 7]);
    expect(access.write(10, new Uint8Array([1, 2, 3]))).toBeUndefined();
    expect([...first.subarray(10, 13)]).toEqual([1, 2, 3]);
  });

  it('spans mappings that touch, and moves nothing when there is a hole', () => {
    const { access, first, second } = setUp();
    void access.write(60, new Uint8Array(8).fill(0xaa));
    expect([...first.subarray(60)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa]);
    expect(second.kind === 'bytes' && [...second.bytes.subarray(0, 5)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa, 0]);
    expect(reasonOf(() => access.write(100, new Uint8Array(100).fill(0xbb)))).toBe('unmapped');
    expect(second.kind === 'bytes' && second.bytes.includes(0xbb)).toBe(false);
  });

  it('refuses everything while the bus-master gate is closed', () => {
    const { access, gate } = setUp();
    gate.open = false;
    expect(reasonOf(() => access.read(0, new Uint8Array(1)))).toBe('bus-master-off');
    expect(reasonOf(() => access.write32(0, 1))).toBe('bus-master-off');
  });

  it('refuses to write where the client has mapped memory read-only', () => {
    const { access } = setUp({ writable: false });
    expect(reasonOf(() => access.write(64, new Uint8Array(1)))).toBe('not-writable');
    expect(reasonOf(() => access.write(63, new Uint8Array(2)))).toBe('not-writable');
    expect(access.read(64, new Uint8Array(1))).toBeUndefined();
  });

  it('looks addresses up in the map of the moment', () => {
    const { access, map } = setUp();
    void access.read(0, new Uint8Array(1));
    map.remove(0n, 64n);
    expect(reasonOf(() => access.read(0, new Uint8Array(1)))).toBe('unmapped');
  });

  it('stores words little-endian, and only at multiples of 4', () => {
    const { access, first } = setUp();
    void access.write32(8, 0x8765_4321);
    expect([...first.subarray(8, 12)]).toEqual([0x21, 0x43, 0x65, 0x87]);
    expect(() => access.write32(9, 0)).toThrow('must be a multiple of 4');
  });

  it('waits for memory that is reached by message, and keeps address order across the border', async () => {
    const remote = new ScriptedRemote();
    const { access, first } = setUp({ second: { kind: 'remote', memory: remote } });
    const pending = access.write(62, new Uint8Array([1, 2, 3, 4]));
    expect(pending).toBeInstanceOf(Promise);
    await pending;
    expect([...first.subarray(62)]).toEqual([1, 2]);
    expect([...remote.bytes.subarray(0, 2)]).toEqual([3, 4]);
    const into = new Uint8Array(4);
    await access.read(62, into);
    expect([...into]).toEqual([1, 2, 3, 4]);
    await access.write32(64, 7);
    expect(remote.log).toEqual(['write 64+2', 'read 64+2', 'write 64+4']);
  });

  it('says what was attempted and what is wrong', () => {
    const { access } = setUp();
    expect(() => access.read(0x1000, new Uint8Array(16))).toThrow(
      'DMA read of 16 bytes at 0x1000: not (wholly) inside memory that the client has mapped for DMA',
    );
  });
});
