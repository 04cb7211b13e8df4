/** A DMA reaches what the client has mapped and nothing else of its memory, at every edge of the arithmetic. */
import { describe, test } from 'vitest';
import { answering, expectExact, MAPPINGS, MEMORY_BYTES } from '../support/dma-edges';
import { serving, sharedMemory } from './serving';

describe('DMA of a device reaches exactly what is mapped, at every edge', () => {
  test('with a descriptor', async () => {
    const { fd, bytes } = sharedMemory(MEMORY_BYTES);
    const { connect, device } = await serving();
    const client = await connect();
    for (const { offset, ...mapping } of MAPPINGS) await client.dmaMap({ ...mapping, fd, offset: BigInt(offset) });
    await expectExact(device.dma, bytes);
  });

  test('by messages', async () => {
    const bytes = new Uint8Array(MEMORY_BYTES);
    const { connect, device } = await serving();
    const client = await connect({ memory: answering(bytes) });
    for (const { iova, sizeBytes, writable } of MAPPINGS) await client.dmaMap({ iova, sizeBytes, writable });
    await expectExact(device.dma, bytes);
  });
});
