import { expect, it } from 'vitest';
import { type Completion, DmaError, type DmaPort, PendingCompletion } from '../memory';
import { PostedPort } from './posted';

const refused = (access: 'read' | 'write') => new DmaError('unmapped', access, 0, 4);

/** Refuses everything: at once, or when the client has answered. */
function portThat(ends: (access: 'read' | 'write') => Completion): DmaPort {
  const write = () => ends('write');
  return { read: () => ends('read'), write, write32: write, write64: write };
}

const throwing = portThat((access) => {
  throw refused(access);
});
const failing = portThat((access) => PendingCompletion.of(Promise.reject(refused(access))));

it.each([
  ['at once', throwing],
  ['later', failing],
])('PostedPort ends writes well that memory refuses %s, and reads as they end', async (_, port) => {
  const posted = new PostedPort(port);
  const writes = [posted.write(0, new Uint8Array(4)), posted.write32(0, 1), posted.write64(0, 1n)];
  for (const write of writes) await expect(write.promise()).resolves.toBeUndefined();
  await expect((async () => posted.read(0, new Uint8Array(4)).promise())()).rejects.toThrow('DMA read');
});

it('PostedPort passes on what is no failure of host memory', () => {
  const posted = new PostedPort(
    portThat(() => {
      throw new RangeError('misaligned');
    }),
  );
  expect(() => posted.write32(2, 1)).toThrow('misaligned');
});
