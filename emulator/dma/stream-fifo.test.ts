import { describe, expect, it } from 'vitest';
import { StreamFifo } from './stream-fifo';

function put(fifo: StreamFifo, bytes: number[], endOfPacket = false): number {
  const window = fifo.reserve(0, bytes.length);
  if (window === undefined) return 0;
  window.set(bytes.slice(0, window.length));
  fifo.commit(window.length, endOfPacket && window.length === bytes.length);
  return window.length;
}

function take(fifo: StreamFifo, maxBytes: number): { bytes: number[]; endOfPacket: boolean } | undefined {
  const window = fifo.peek(0, maxBytes);
  if (window === undefined) return undefined;
  const bytes = [...window];
  return { bytes, endOfPacket: fifo.consume(bytes.length) };
}

describe('StreamFifo', () => {
  it('returns what was written, in order', () => {
    const fifo = new StreamFifo(8);
    put(fifo, [1, 2, 3]);
    put(fifo, [4]);
    expect(take(fifo, 8)).toEqual({ bytes: [1, 2, 3, 4], endOfPacket: false });
    expect(take(fifo, 8)).toBeUndefined();
  });

  it('never lets a read cross the end of a packet', () => {
    const fifo = new StreamFifo(16);
    put(fifo, [1, 2], true);
    put(fifo, [3], true);
    expect(take(fifo, 16)).toEqual({ bytes: [1, 2], endOfPacket: true });
    expect(take(fifo, 16)).toEqual({ bytes: [3], endOfPacket: true });
  });

  it('has no room when it is full, and notifies who waits when it has', () => {
    const fifo = new StreamFifo(4);
    expect(put(fifo, [1, 2, 3, 4, 5])).toBe(4);
    expect(fifo.reserve(0, 1)).toBeUndefined();
    let calls = 0;
    fifo.whenReady(() => calls++);
    take(fifo, 1);
    take(fifo, 1);
    expect(calls).toBe(1);
    expect(put(fifo, [5, 6])).toBe(2);
  });

  it('keeps order and packet ends over many wraps', () => {
    const fifo = new StreamFifo(7);
    const written: number[] = [];
    const read: number[] = [];
    const packetEnds: number[] = [];
    const endsSeen: number[] = [];
    for (let step = 0; step < 2000; step++) {
      const window = fifo.reserve(0, (step % 5) + 1);
      if (window !== undefined) {
        window.forEach((_, index) => (window[index] = (written.length + index) & 0xff));
        written.push(...window);
        const endOfPacket = step % 4 === 0;
        if (endOfPacket) packetEnds.push(written.length);
        fifo.commit(window.length, endOfPacket);
      }
      const taken = take(fifo, (step % 3) + 1);
      read.push(...(taken?.bytes ?? []));
      if (taken?.endOfPacket) endsSeen.push(read.length);
    }
    expect(read.length).toBeGreaterThan(1000);
    expect(read).toEqual(written.slice(0, read.length));
    expect(endsSeen).toEqual(packetEnds.filter((end) => end <= read.length));
  });

  it('is empty after clear', () => {
    const fifo = new StreamFifo(4);
    put(fifo, [1, 2], true);
    fifo.clear();
    expect(fifo.fillBytes).toBe(0);
    put(fifo, [3]);
    expect(take(fifo, 4)).toEqual({ bytes: [3], endOfPacket: false });
  });
});
