/** A DMA reaches what is mapped and nothing else, at every edge of the arithmetic. Over a socket: test/protocol. */
import { describe, it } from 'vitest';
import { answering, expectExact, MAPPINGS, MEMORY_BYTES } from '../../test/support/dma-edges';
import { AddressMap, type DmaBacking, DmaAccess } from '.';

function portOn(backingOf: (offset: number, sizeBytes: number) => DmaBacking): DmaAccess {
  const map = new AddressMap();
  for (const { iova, sizeBytes, writable, offset } of MAPPINGS)
    map.add({ iova, sizeBytes, readable: true, writable, backing: backingOf(offset, Number(sizeBytes)) });
  return new DmaAccess(map, () => true);
}

describe('DmaAccess reaches exactly what is mapped, at every edge', () => {
  const memory = new Uint8Array(MEMORY_BYTES);

  it('of memory in this process', async () => {
    const backingOf = (offset: number, sizeBytes: number): DmaBacking => ({
      ...{ kind: 'bytes', bytes: memory.subarray(offset, offset + sizeBytes), fileOffset: offset },
    });
    await expectExact(portOn(backingOf), memory);
  });

  it('of memory that is reached by messages', async () => {
    const client = answering(memory);
    const remote = {
      read: async (iova: bigint, into: Uint8Array) => into.set(client.read(iova, into.length)),
      write: async (iova: bigint, from: Uint8Array) => void client.write(iova, from),
    };
    await expectExact(
      portOn(() => ({ kind: 'remote', memory: remote })),
      memory,
    );
  });
});
