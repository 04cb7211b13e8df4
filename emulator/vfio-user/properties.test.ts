/** What is true of every message: what is encoded is decoded, and any bytes are a message or refused with a reason. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as wire from '../../instrumentation/conformance/messages';
import { DeviceError, type IrqLayout, type RegionLayout } from '../device';
import { DmaError } from '../memory';
import {
  decodeDmaMap,
  decodeDmaUnmap,
  decodeHeader,
  decodeInfoRequest,
  decodeSetIrqs,
  encodeHeader,
  encodeIrqInfo,
  encodeRegionInfo,
  headerError,
} from './codec';
import { FramingError, MessageReader, OversizedMessage } from './framing';
import { RemoteDma } from './remote-dma';
import { answerVersion, decodeVersion, encodeVersion } from './version';
import { HEADER_BYTES } from './wire';

const always = { seed: 1, numRuns: 300 };
const check = <T extends unknown[]>(property: fc.IPropertyWithHooks<T>): void => fc.assert(property, always);

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The value, or undefined if it is refused as a request may be refused. */
function decodedOrRefused<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    expect((error as DeviceError).errno).toBeGreaterThan(0);
    expect((error as DeviceError).message).not.toBe('');
    return undefined;
  }
}

describe('what is encoded is decoded to the same', () => {
  test('header', () => {
    check(
      fc.property(u16, u16, u32, u32, u32, (id, command, sizeBytes, flags, errno) => {
        const bytes = new Uint8Array(HEADER_BYTES);
        encodeHeader(viewOf(bytes), id, command, sizeBytes, flags, errno);
        expect(decodeHeader(viewOf(bytes), 0)).toEqual({ id, command, sizeBytes, flags, errno });
      }),
    );
  });

  test('VERSION, and the answer offers nothing that was not proposed', () => {
    const positive = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const capabilities = fc.record({
      maxMessageDescriptors: positive,
      maxTransferBytes: positive,
      maxDmaMaps: positive,
      pageSizes: positive,
      writeMultiple: fc.boolean(),
    });
    check(
      fc.property(fc.record({ major: u16, minor: u16, capabilities }), (version) => {
        expect(decodeVersion(encodeVersion(version))).toEqual(version);
        const answer = decodedOrRefused(() => answerVersion(version));
        expect(answer !== undefined).toBe(version.major === 0);
        expect(answer?.capabilities.writeMultiple).toBe(answer && version.capabilities.writeMultiple);
      }),
    );
  });

  test('DMA_MAP, unless its range or its flags are not valid', () => {
    check(
      fc.property(u64, u64, u64, fc.integer({ min: 0, max: 5 }), (iova, sizeBytes, fileOffset, flags) => {
        const decoded = decodedOrRefused(() => decodeDmaMap(wire.mapOf({ iova, sizeBytes, fileOffset, flags })));
        const isValid = flags <= 3 && sizeBytes > 0n && iova + sizeBytes <= 1n << 64n;
        const [readable, writable] = [(flags & 1) !== 0, (flags & 2) !== 0];
        expect(decoded).toEqual(isValid ? { iova, sizeBytes, fileOffset, readable, writable } : undefined);
      }),
    );
  });

  test('DMA_UNMAP', () => {
    check(
      fc.property(u64, u64, u32, (iova, sizeBytes, flags) => {
        expect(decodeDmaUnmap(wire.unmapOf(iova, sizeBytes, flags))).toEqual({ iova, sizeBytes, flags });
      }),
    );
  });

  test('requests for information, unless their argsz is too small', () => {
    check(
      fc.property(u32, fc.integer({ min: 0, max: 64 }), (index, argsz) => {
        const decoded = decodedOrRefused(() => decodeInfoRequest(wire.regionInfoOf(index, argsz), 'X', 32));
        expect(decoded).toEqual(argsz < 32 ? undefined : { argsz, index });
      }),
    );
  });

  test('region information: size, flags and areas', () => {
    const area = fc.record({
      offset: fc.nat().map((page) => page * 4096),
      sizeBytes: fc.nat().map((page) => page * 4096),
    });
    const region = fc.record({
      sizeBytes: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      readable: fc.boolean(),
      writable: fc.boolean(),
      mappable: fc.option(fc.record({ fd: fc.nat(), areas: fc.array(area, { maxLength: 5 }) }), { nil: undefined }),
    });
    check(
      fc.property(u32, region, fc.integer({ min: 32, max: 200 }), (index, { mappable, ...rest }, argsz) => {
        const layout: RegionLayout = mappable ? { ...rest, mappable } : rest;
        const reply = encodeRegionInfo(index, layout, argsz);
        const view = viewOf(reply);
        expect(reply.length).toBe(view.getUint32(0, true) <= argsz ? view.getUint32(0, true) : 32);
        expect(view.getUint32(8, true)).toBe(index);
        expect(view.getBigUint64(16, true)).toBe(BigInt(layout.sizeBytes));
        const areas = layout.mappable?.areas ?? [];
        const flags = view.getUint32(4, true);
        expect(flags & 7).toBe(Number(rest.readable) | (rest.writable ? 2 : 0) | (areas.length > 0 ? 4 : 0));
        if ((flags & 8) === 0 || reply.length === 32) return;
        const at = view.getUint32(12, true);
        const listed = Array.from({ length: view.getUint32(at + 8, true) }, (_, i) => ({
          offset: Number(view.getBigUint64(at + 16 + i * 16, true)),
          sizeBytes: Number(view.getBigUint64(at + 24 + i * 16, true)),
        }));
        expect(listed).toEqual(areas);
      }),
    );
  });

  const irqs: IrqLayout[] = [
    { count: 1, maskable: true, autoMasked: true, noResize: false },
    { count: 8, maskable: false, autoMasked: false, noResize: true },
  ];

  test('interrupt information', () => {
    check(
      fc.property(u32, fc.constantFrom(...irqs), (index, irq) => {
        const view = viewOf(encodeIrqInfo(index, irq));
        const flags = 1 | (irq.maskable ? 2 : 0) | (irq.autoMasked ? 4 : 0) | (irq.noResize ? 8 : 0);
        expect([4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([flags, index, irq.count]);
      }),
    );
  });

  test('DEVICE_SET_IRQS of vectors that exist', () => {
    const request = fc.record({
      data: fc.constantFrom('none', 'bool', 'eventfd'),
      action: fc.constantFrom('mask', 'unmask', 'trigger'),
      index: fc.integer({ min: 0, max: irqs.length }),
      start: fc.integer({ min: 0, max: 9 }),
      vectors: fc.array(fc.boolean(), { maxLength: 9 }),
    });
    check(
      fc.property(request, ({ data, action, index, start, vectors }) => {
        const count = vectors.length;
        const flags = { none: 1, bool: 2, eventfd: 4 }[data] | { mask: 8, unmask: 16, trigger: 32 }[action];
        const payload = wire.setIrqsOf({
          ...{ flags, index, start, count },
          ...(data === 'bool' && { data: Uint8Array.from(vectors, Number) }),
        });
        const irq = irqs[index];
        const isEmpty = count === 0 && !(data === 'none' && action === 'trigger' && start === 0);
        const isValid =
          irq !== undefined && start + count <= irq.count && !isEmpty && (action === 'trigger' || irq.maskable);
        const decoded = decodedOrRefused(() => decodeSetIrqs(payload, irqs));
        expect(decoded).toEqual(
          isValid ? { data, action, index, start, count, vectors: data === 'bool' ? vectors : [] } : undefined,
        );
      }),
    );
  });
});

describe('any bytes are decoded, or refused with a reason', () => {
  const irqs: IrqLayout[] = [{ count: 4, maskable: true, autoMasked: true, noResize: false }];
  test.each<[string, (payload: Uint8Array) => unknown]>([
    ['VERSION', (payload) => answerVersion(decodeVersion(payload))],
    ['DMA_MAP', decodeDmaMap],
    ['DMA_UNMAP', decodeDmaUnmap],
    ['a request for information', (payload) => decodeInfoRequest(payload, 'X', 16)],
    ['DEVICE_SET_IRQS', (payload) => decodeSetIrqs(payload, irqs)],
  ])('%s', (_, decode) => {
    check(fc.property(fc.uint8Array({ maxLength: 80 }), (payload) => void decodedOrRefused(() => decode(payload))));
  });

  test('version data of any JSON', () => {
    check(
      fc.property(fc.jsonValue(), (value) => {
        const data = JSON.stringify({ capabilities: value });
        decodedOrRefused(() => decodeVersion(wire.versionOf(data)));
        decodedOrRefused(() => decodeVersion(wire.versionOf(JSON.stringify(value))));
      }),
    );
  });

  test('a header, as its fields say', () => {
    check(
      fc.property(fc.uint8Array({ minLength: HEADER_BYTES, maxLength: HEADER_BYTES }), (bytes) => {
        const header = decodeHeader(viewOf(bytes), 0);
        const isReadable = (header.flags & 0xf) <= 1 && header.sizeBytes >= HEADER_BYTES && header.sizeBytes <= 100;
        expect(headerError(header, 100) === undefined).toBe(isReadable);
      }),
    );
  });

  test('a reply to a DMA message ends its access, or is not taken for one', async () => {
    const reply = fc.record({
      id: u16,
      command: fc.constantFrom(11, 12),
      flags: u32,
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(reply, fc.boolean(), async (fields, isExpected) => {
        let id = -1;
        const dma = new RemoteDma({
          send: (header) => (id = viewOf(header).getUint16(0, true)),
          maxTransferBytes: 4096,
          timeoutMs: 60_000,
        });
        const outcome = dma.read(0x1000n, new Uint8Array(8)).then(
          () => 'read',
          (error: unknown) => error,
        );
        const message = wire.messageOf({ ...fields, ...(isExpected && { id }) });
        const isTaken = dma.settle(message, viewOf(message), 0, message.length);
        expect(isTaken).toBe(isExpected || fields.id === id);
        dma.close();
        const ended = await outcome;
        expect(ended === 'read' || ended instanceof DmaError).toBe(true);
      }),
      always,
    );
  });
});

describe('a stream', () => {
  const MOST_BYTES = 64;

  /** Receives the stream in these pieces; each may carry descriptors. Returns what it is taken for. */
  function receive(stream: Uint8Array, pieces: readonly { bytes: number; descriptors: number }[]) {
    let nextFd = 0;
    const messages: string[] = [];
    const closed: number[] = [];
    const reader = new MessageReader(MOST_BYTES, (fd) => closed.push(fd));
    let at = 0;
    let end: FramingError | undefined;
    for (const piece of [...pieces, { bytes: Infinity, descriptors: 0 }]) {
      const count = Math.min(piece.bytes, stream.length - at, reader.bytes.length - reader.end);
      if (count === 0 || end) continue;
      reader.bytes.set(stream.subarray(at, at + count), reader.end);
      at += count;
      reader.received(
        count,
        Array.from({ length: piece.descriptors }, () => nextFd++),
      );
      for (;;) {
        try {
          if (!reader.next()) break;
          messages.push(Buffer.from(reader.bytes.subarray(reader.at, reader.at + reader.sizeBytes)).toString('hex'));
          closed.push(...reader.takeDescriptors().descriptors);
        } catch (error) {
          if (error instanceof OversizedMessage) {
            reader.skip();
            continue;
          }
          expect(error).toBeInstanceOf(FramingError);
          expect((error as Error).message).not.toBe('');
          end = error as FramingError;
          break;
        }
      }
    }
    closed.push(...reader.takeAllDescriptors());
    expect(closed.sort((a, b) => a - b)).toEqual(Array.from({ length: nextFd }, (_, fd) => fd));
    return { messages, end };
  }

  const pieces = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 40 }), descriptors: fc.integer({ min: 0, max: 2 }) }),
  );

  test('of messages is cut into the same messages, wherever it was cut before', () => {
    const message = fc
      .record({ id: u16, command: u16, payload: fc.uint8Array({ maxLength: 2 * MOST_BYTES }) })
      .map((fields) => wire.messageOf(fields));
    check(
      fc.property(fc.array(message, { maxLength: 30 }), pieces, (messages, cuts) => {
        const short = messages.filter(({ length }) => length <= MOST_BYTES).map((each) => each.toString('hex'));
        expect(receive(Buffer.concat(messages), cuts)).toEqual({ messages: short, end: undefined });
      }),
    );
  });

  test('of any bytes is cut in one way, and each descriptor is given up once', () => {
    check(
      fc.property(fc.uint8Array({ maxLength: 400 }), pieces, (stream, cuts) => {
        expect(receive(stream, cuts)).toEqual(receive(stream, []));
      }),
    );
  });
});
