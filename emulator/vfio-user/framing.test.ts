import { describe, expect, test } from 'vitest';
import { encodeHeader } from './codec';
import { FramingError, MessageReader, OversizedMessage } from './framing';

const MOST = 256;

function message(id: number, sizeBytes = 16): Uint8Array {
  const bytes = new Uint8Array(sizeBytes).fill(id, 16);
  encodeHeader(new DataView(bytes.buffer), id, 9, sizeBytes, 0);
  return bytes;
}

function feed(reader: MessageReader, bytes: Uint8Array, descriptors?: number[]): void {
  reader.bytes.set(bytes, reader.end);
  reader.received(bytes.length, descriptors);
}

const readerOf = (closed: number[] = []): MessageReader => new MessageReader(MOST, (fd) => closed.push(fd));

const idsIn = (reader: MessageReader): number[] => {
  const ids: number[] = [];
  while (reader.next()) ids.push(reader.view.getUint16(reader.at, true));
  return ids;
};

describe('messages', () => {
  test('that arrive in one receive are returned one by one', () => {
    const reader = readerOf();
    feed(reader, Buffer.concat([message(1), message(2, 40), message(3)]));
    expect(idsIn(reader)).toEqual([1, 2, 3]);
  });

  test('that arrive byte by byte are returned once, when they are complete (vfio-user header)', () => {
    const reader = readerOf();
    const whole = message(7, 40);
    for (const byte of whole.subarray(0, 39)) {
      feed(reader, Uint8Array.of(byte));
      expect(reader.next()).toBe(false);
    }
    feed(reader, whole.subarray(39));
    expect(reader.next()).toBe(true);
    expect(reader.bytes.subarray(reader.at, reader.at + reader.sizeBytes)).toEqual(whole);
    expect(reader.next()).toBe(false);
  });

  test('are the same however a stream longer than the buffer is split', () => {
    const ids = Array.from({ length: 3000 }, (_, i) => i);
    const stream = Buffer.concat(ids.map((id) => message(id, 16 + ((id * 7) % 200))));
    for (const step of [1, 15, 17, 255, 4096]) {
      const reader = readerOf();
      const seen: number[] = [];
      for (let at = 0; at < stream.length;) {
        const room = Math.min(step, reader.bytes.length - reader.end);
        if (room <= 0) throw new Error(`no room left at byte ${at}`);
        feed(reader, stream.subarray(at, at + room));
        at += room;
        seen.push(...idsIn(reader));
      }
      expect(seen).toEqual(ids);
    }
  });

  test('of the maximum length fit', () => {
    const reader = readerOf();
    feed(reader, message(5, MOST));
    expect(idsIn(reader)).toEqual([5]);
  });

  test.each([
    ['shorter than a header', 4, 15, 'shorter than its header (16)'],
    ['of an unknown type', 8, 3, 'message type 3'],
  ])('a header %s ends the stream', (_, at, value, text) => {
    const reader = readerOf();
    const bytes = message(1);
    new DataView(bytes.buffer).setUint32(at, value, true);
    feed(reader, bytes);
    expect(() => reader.next()).toThrow(FramingError);
    expect(() => reader.next()).toThrow(text);
  });
});

describe('a message that is longer than allowed', () => {
  const refused = (reader: MessageReader): void => {
    expect(() => reader.next()).toThrow(OversizedMessage);
    reader.skip();
  };

  test.each([MOST + 1, 10 * MOST, 1 << 20])('of %i bytes is skipped, and the next one is found', (sizeBytes) => {
    const reader = readerOf();
    const stream = Buffer.concat([message(1), message(2, sizeBytes), message(3, 40)]);
    const ids: number[] = [];
    for (let at = 0; at < stream.length;) {
      const room = Math.min(1000, stream.length - at, reader.bytes.length - reader.end);
      feed(reader, stream.subarray(at, at + room));
      at += room;
      try {
        ids.push(...idsIn(reader));
      } catch {
        refused(reader);
        ids.push(...idsIn(reader));
      }
    }
    expect(ids).toEqual([3]);
  });

  test('has its descriptors closed, those of the messages around it stay', () => {
    const closed: number[] = [];
    const reader = readerOf(closed);
    const long = message(2, MOST + 100);
    feed(reader, message(1), [1]);
    feed(reader, long.subarray(0, 50), [2, 3]);
    expect(reader.next()).toBe(true);
    expect(reader.takeDescriptors().descriptors).toEqual([1]);
    refused(reader);
    expect(reader.next()).toBe(false);
    feed(reader, long.subarray(50, 60), [4]);
    feed(reader, long.subarray(60));
    feed(reader, message(3), [5]);
    expect(reader.next()).toBe(true);
    expect(reader.takeDescriptors().descriptors).toEqual([5]);
    expect(closed).toEqual([2, 3, 4]);
    expect(reader.heldDescriptors).toBe(0);
  });

  test('of another type than command and reply ends the stream', () => {
    const reader = readerOf();
    const bytes = message(1);
    new DataView(bytes.buffer).setUint32(4, MOST + 1, true);
    new DataView(bytes.buffer).setUint32(8, 3, true);
    feed(reader, bytes);
    expect(() => reader.next()).toThrow('message type 3');
    expect(() => reader.next()).not.toThrow(OversizedMessage);
  });
});

describe('descriptors', () => {
  test('belong to the message whose bytes they arrived with', () => {
    const reader = readerOf();
    feed(reader, Buffer.concat([message(1), message(2, 48)]), [21]);
    expect(reader.next()).toBe(true);
    expect(reader.hasDescriptors).toBe(false);
    expect(reader.takeDescriptors().descriptors).toEqual([]);
    expect(reader.next()).toBe(true);
    expect(reader.hasDescriptors).toBe(true);
    expect(reader.takeDescriptors().descriptors).toEqual([21]);
    expect(reader.hasDescriptors).toBe(false);
  });

  test('that arrive with the first half of a message wait for the second half', () => {
    const reader = readerOf();
    const whole = message(3, 48);
    feed(reader, whole.subarray(0, 16), [5, 6]);
    expect(reader.next()).toBe(false);
    feed(reader, whole.subarray(16), [7]);
    expect(reader.next()).toBe(true);
    expect(reader.takeDescriptors().descriptors).toEqual([5, 6, 7]);
  });

  test('stay with their message when it is moved to the front of the buffer', () => {
    const reader = readerOf();
    const filler = Math.floor(reader.bytes.length / 16) - 1;
    feed(reader, Buffer.concat(Array.from({ length: filler }, () => message(1))));
    const last = message(2, 200);
    const head = reader.bytes.length - reader.end;
    feed(reader, last.subarray(0, head), [9]);
    expect(idsIn(reader)).toHaveLength(filler);
    feed(reader, last.subarray(head));
    expect(reader.next()).toBe(true);
    expect(reader.takeDescriptors().descriptors).toEqual([9]);
  });

  test('that were not taken are returned for closing at the end', () => {
    const reader = readerOf();
    feed(reader, message(1), [4]);
    feed(reader, message(2).subarray(0, 3), [5]);
    expect(reader.takeAllDescriptors()).toEqual([4, 5]);
    expect(reader.takeAllDescriptors()).toEqual([]);
  });

  test('that were lost are reported with their message', () => {
    const reader = readerOf();
    reader.bytes.set(message(1));
    reader.received(16, [], true);
    expect(reader.next()).toBe(true);
    expect(reader.takeDescriptors()).toEqual({ descriptors: [], lost: true });
  });
});
