/**
 * Clients that a fuzzer tries: right messages, such with a few bytes or fields changed, rubbish, and drivers of the
 * reference card that mean well or do not; each cut anywhere, with descriptors of any kind.
 */
import fc, { type Arbitrary } from 'fast-check';
import { DESCRIPTOR_BYTES, encodeDescriptor, REFERENCE_REGISTERS } from '../../../emulator/cards/reference';
import { defaultCapabilities, encodeVersion } from '../../../emulator/vfio-user/version';
import { Command, Header, HEADER_BYTES, HeaderFlag } from '../../../emulator/vfio-user/wire';
import * as wire from '../../../instrumentation/conformance/messages';
import { ANSWERS, DESCRIPTORS, type DescriptorName, hexOf, MEMORY_BYTES, SHRINKING_BYTES, type Step } from './step';

const REGIONS = 9;
const IRQ_INDEXES = 5;
const CONFIG = 7;
const PAGE = 4096;

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) },
  { weight: 1, arbitrary: fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x10_0000, 0x10_0001) },
);
const anyLong = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
/** Where clients map memory: few places, so that their ranges meet. */
const base = fc.constantFrom(0n, 0x1_0000n, 0x1_0000_0000n, (1n << 64n) - 0x1_0000n);
const address = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(base, fc.integer({ min: 0, max: 16 })).map(([at, page]) => at + BigInt(page * PAGE)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(base, fc.integer({ min: 0, max: 0x2_0000 })).map(([at, more]) => at + BigInt(more)),
  },
  { weight: 1, arbitrary: anyLong },
);
const length = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 16 }).map((pages) => BigInt(pages * PAGE)) },
  { weight: 1, arbitrary: fc.constantFrom(0n, 1n, 1n << 32n, 1n << 40n, (1n << 64n) - 1n) },
  { weight: 1, arbitrary: anyLong },
);
/** `right` most of the time, else anything. */
const mostly = <T>(right: Arbitrary<T>, other: Arbitrary<T>): Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: other });

const region = mostly(fc.constantFrom(0, 0, 0, 2, 4, CONFIG, CONFIG), u32);
const registerOffsets = REFERENCE_REGISTERS.registers.map(({ offset }) => offset);
const offset = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...registerOffsets).map(BigInt) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 0x200 }).map(BigInt) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0xfffn, 0x3ffen, 0xff_fffcn, 0xffff_ffffn, (1n << 53n) + 1n, (1n << 64n) - 1n),
  },
  { weight: 1, arbitrary: anyLong },
);
const busBytes = fc.constantFrom(1, 2, 4, 4, 4, 8).chain((size) => fc.uint8Array({ minLength: size, maxLength: size }));
const data = mostly(busBytes, fc.uint8Array({ minLength: 0, maxLength: 300 }));
const count = mostly(fc.constantFrom(1, 2, 4, 4, 4, 8), fc.oneof(u32, fc.constantFrom(PAGE, 0x1_0000, 0x10_0000)));

interface Content {
  readonly command: number;
  readonly payload: Uint8Array;
  readonly flags?: number;
  readonly descriptors?: readonly DescriptorName[];
}

const anyDescriptors = fc.oneof(
  { weight: 12, arbitrary: fc.array(fc.constantFrom(...DESCRIPTORS), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...DESCRIPTORS), { minLength: 8, maxLength: 200 }) },
);
const memoryDescriptor = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<DescriptorName[][]>(['memory'], ['memory'], [], ['file that shrinks']) },
  { weight: 2, arbitrary: fc.constantFrom<DescriptorName[][]>(['sparse memory'], ['read-only file']) },
  { weight: 1, arbitrary: anyDescriptors },
);

const capabilities = fc.record({
  maxMessageDescriptors: fc.constantFrom(1, 8, 16),
  maxTransferBytes: fc.constantFrom(1, 100, PAGE, 0x10_0000),
  maxDmaMaps: fc.constant(defaultCapabilities.maxDmaMaps),
  pageSizes: fc.constant(PAGE),
  writeMultiple: mostly(fc.constant(true), fc.constant(false)),
});
const version: Arbitrary<Content> = capabilities.map((offered) => ({
  command: Command.VERSION,
  payload: encodeVersion({ major: 0, minor: 0, capabilities: offered }),
}));
const anyVersion: Arbitrary<Content> = fc
  .tuple(fc.oneof(fc.json(), fc.string(), fc.constant(undefined)), fc.integer({ min: 0, max: 1 }), u16)
  .map(([text, major, minor]) => ({ command: Command.VERSION, payload: wire.versionOf(text, major, minor) }));

const dmaMap: Arbitrary<Content> = fc
  .record({
    iova: address,
    sizeBytes: length,
    fileOffset: fc.constantFrom(0n, 0n, 4096n, 0x1_0000n, 1n, 1n << 39n),
    flags: mostly(fc.constantFrom(1, 2, 3, 3, 3), u32),
  })
  .chain((fields) =>
    memoryDescriptor.map((descriptors) => ({ command: Command.DMA_MAP, payload: wire.mapOf(fields), descriptors })),
  );
const dmaUnmap: Arbitrary<Content> = fc
  .oneof(fc.tuple(address, length, mostly(fc.constant(0), u32)), fc.constant([0n, 0n, 2] as const))
  .map(([iova, sizeBytes, flags]) => ({ command: Command.DMA_UNMAP, payload: wire.unmapOf(iova, sizeBytes, flags) }));

const argsz = mostly(fc.constantFrom(16, 32, 64, 80), u32);
const information: Arbitrary<Content> = fc.oneof(
  argsz.map((size) => ({ command: Command.DEVICE_GET_INFO, payload: wire.deviceInfoOf(size) })),
  fc
    .tuple(mostly(fc.integer({ min: 0, max: REGIONS }), u32), argsz)
    .map(([index, size]) => ({ command: Command.DEVICE_GET_REGION_INFO, payload: wire.regionInfoOf(index, size) })),
  fc
    .tuple(mostly(fc.integer({ min: 0, max: REGIONS }), u32), argsz)
    .map(([index, size]) => ({ command: Command.DEVICE_GET_REGION_IO_FDS, payload: wire.regionIoFdsOf(index, size) })),
  fc
    .tuple(mostly(fc.integer({ min: 0, max: IRQ_INDEXES }), u32), argsz)
    .map(([index, size]) => ({ command: Command.DEVICE_GET_IRQ_INFO, payload: wire.irqInfoOf(index, size) })),
);

const setIrqs: Arbitrary<Content> = fc
  .record({
    flags: mostly(fc.constantFrom(0x21, 0x22, 0x24, 0x24, 0x24, 0x09, 0x11, 0x0a, 0x12, 0x0c, 0x14), u32),
    index: mostly(fc.integer({ min: 0, max: IRQ_INDEXES }), u32),
    start: mostly(fc.constantFrom(0, 0, 1, 7), u32),
    count: mostly(fc.constantFrom(0, 1, 1, 2, 8), u32),
    data: fc.uint8Array({ maxLength: 8 }),
  })
  .chain((fields) =>
    mostly<readonly DescriptorName[]>(
      fc.constant(Array.from({ length: fields.flags & 4 ? Math.min(fields.count, 8) : 0 }, () => 'eventfd' as const)),
      anyDescriptors,
    ).map((descriptors) => ({ command: Command.DEVICE_SET_IRQS, payload: wire.setIrqsOf(fields), descriptors })),
  );

const readOf = fc
  .tuple(region, offset, count)
  .map(([at, from, bytes]) => ({ command: Command.REGION_READ, payload: wire.readOf(at, from, bytes) }));
const writeOf = fc
  .tuple(region, offset, data, mostly(fc.constant(undefined), u32), fc.boolean())
  .map(([at, from, bytes, claimed, posted]) => ({
    command: Command.REGION_WRITE,
    payload: wire.writeOf(at, from, bytes, claimed ?? bytes.length),
    flags: posted ? HeaderFlag.NO_REPLY : 0,
  }));
const writeMulti = fc
  .tuple(
    fc.array(fc.record({ region, offset, data: busBytes, count: mostly(fc.constantFrom(1, 2, 4, 8), u32) }), {
      maxLength: 5,
    }),
    mostly<bigint | undefined>(fc.constant(undefined), anyLong),
  )
  .map(([writes, claimed]) => ({
    command: Command.REGION_WRITE_MULTI,
    payload: wire.writeMultiOf(writes, claimed ?? BigInt(writes.length)),
  }));

/** An answer to a DMA message that the server may have sent or not. */
const dmaReply: Arbitrary<Content> = fc
  .tuple(fc.constantFrom<number>(Command.DMA_READ, Command.DMA_WRITE), fc.uint8Array({ maxLength: 64 }), fc.boolean())
  .map(([command, payload, failed]) => ({
    command,
    payload,
    flags: HeaderFlag.TYPE_REPLY | (failed ? HeaderFlag.ERROR : 0),
  }));
const other: Arbitrary<Content> = fc
  .tuple(fc.oneof(fc.integer({ min: 0, max: 20 }), u16), fc.uint8Array({ maxLength: 64 }))
  .map(([command, payload]) => ({ command, payload }));

const content: Arbitrary<Content> = fc.oneof(
  { weight: 8, arbitrary: readOf },
  { weight: 8, arbitrary: writeOf },
  { weight: 3, arbitrary: writeMulti },
  { weight: 6, arbitrary: dmaMap },
  { weight: 3, arbitrary: dmaUnmap },
  { weight: 3, arbitrary: information },
  { weight: 5, arbitrary: setIrqs },
  { weight: 1, arbitrary: fc.constant({ command: Command.DEVICE_RESET, payload: new Uint8Array(0) }) },
  { weight: 2, arbitrary: other },
);

type Edit = (message: Buffer) => Buffer;

const byteEdit: Arbitrary<Edit> = fc.tuple(u16, fc.integer({ min: 0, max: 255 })).map(([at, value]) => (message) => {
  if (message.length > HEADER_BYTES) message[HEADER_BYTES + (at % (message.length - HEADER_BYTES))] = value;
  return message;
});
const headerEdit: Arbitrary<Edit> = fc
  .tuple(fc.constantFrom(Header.COMMAND, Header.ERROR), u32)
  .map(([at, value]) => (message) => {
    if (at === Header.COMMAND) message.writeUInt16LE(value & 0xffff, at);
    else message.writeUInt32LE(value, at);
    return message;
  });
/** What follows is not where the server looks for it, or there is nothing to follow. */
const framingEdit: Arbitrary<Edit> = fc
  .tuple(fc.constantFrom(Header.SIZE, Header.SIZE, Header.FLAGS), u32)
  .map(([at, value]) => (message) => {
    message.writeUInt32LE(value, at);
    return message;
  });
/** Of the payload, with a size in the header that is right. */
const lengthEdit: Arbitrary<Edit> = u16.map((size) => (message) => {
  const cut = Buffer.alloc(HEADER_BYTES + (size % 0x80));
  message.copy(cut);
  cut.writeUInt32LE(cut.length, Header.SIZE);
  return cut;
});
const edits = fc.oneof(
  { weight: 90, arbitrary: fc.constant<Edit[]>([]) },
  { weight: 14, arbitrary: fc.array(byteEdit, { minLength: 1, maxLength: 3 }) },
  { weight: 10, arbitrary: lengthEdit.map((edit) => [edit]) },
  { weight: 5, arbitrary: headerEdit.map((edit) => [edit]) },
  { weight: 1, arbitrary: framingEdit.map((edit) => [edit]) },
);

const WAIT: Step = { do: 'wait', for: 'the server' };

/** The bytes in one or several sends. The descriptors go with one of them. */
const sendsOf = (contents: Arbitrary<Content>): Arbitrary<Step[]> =>
  fc
    .record({
      id: u16,
      content: contents,
      edits,
      cuts: fc.oneof(
        { weight: 8, arbitrary: fc.constant<number[]>([]) },
        { weight: 2, arbitrary: fc.array(u16, { minLength: 1, maxLength: 3 }) },
      ),
      strays: fc.oneof(
        { weight: 24, arbitrary: fc.constant<readonly DescriptorName[]>([]) },
        { weight: 1, arbitrary: anyDescriptors },
      ),
      waits: fc.constantFrom<Step[][]>([], [], [], [WAIT]),
    })
    .map(({ id, content: { command, payload, flags = 0, descriptors = [] }, edits: changes, cuts, strays, waits }) => {
      const message = changes.reduce((bytes, edit) => edit(bytes), wire.messageOf({ id, command, payload, flags }));
      const passed = [...descriptors, ...strays];
      const places = [...new Set(cuts.map((at) => at % message.length))].sort((a, b) => a - b).filter((at) => at > 0);
      const ends = [...places, message.length];
      const sends = ends.map((end, i): Step => ({
        do: 'send',
        bytes: hexOf(message.subarray(ends[i - 1] ?? 0, end)),
        ...(i === ends.length - 1 && passed.length > 0 ? { descriptors: passed } : {}),
      }));
      const apart = sends.flatMap((step, i) => (i < sends.length - 1 ? [step, WAIT] : [step]));
      return [...apart, ...waits];
    });

const RUNS = { H2C: 0x1000, C2H: 0x2000 } as const;
const CHANNEL_STRIDE = 0x100;

const store = (bar: number, at: number, value: bigint, bytes: 4 | 8): Step => {
  const written = Buffer.alloc(8);
  written.writeBigUInt64LE(value);
  const payload = wire.writeOf(bar, at, written.subarray(0, bytes));
  const message = wire.messageOf({ command: Command.REGION_WRITE, payload, flags: HeaderFlag.NO_REPLY });
  return { do: 'send', bytes: hexOf(message) };
};

/** A driver of one channel: maps memory, fills a ring and rings the doorbell. Its descriptors may be wrong. */
const driver: Arbitrary<Step[]> = fc
  .record({
    at: base,
    descriptor: fc.constantFrom<DescriptorName[][]>(['memory'], ['memory'], [], ['file that shrinks']),
    block: fc.constantFrom(RUNS.H2C, RUNS.C2H),
    channel: fc.integer({ min: 0, max: 1 }),
    ring: fc.array(
      fc.record({
        owner: mostly(fc.constant(true), fc.constant(false)),
        interrupt: fc.boolean(),
        endOfPacket: fc.boolean(),
        lengthBytes: mostly(fc.integer({ min: 1, max: 0x2000 }), u32),
        hostAddress: mostly(fc.integer({ min: 0, max: 0xf000 }), u32),
        cardAddress: mostly(fc.integer({ min: 0, max: 0x10_0000 }), u32),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    sizeLog2: mostly(fc.constant(3), u32),
    writeback: fc.boolean(),
    moderation: fc.constantFrom(0n, 0n, 0x0001_0002n, 0x000a_0004n),
    processing: fc.integer({ min: 0, max: 3 }),
    truncatesTo: fc.constantFrom(undefined, undefined, 0, 100, PAGE),
    answers: mostly(fc.constant('right' as const), fc.constantFrom(...ANSWERS)),
  })
  .map(({ at, descriptor, block, channel, ring, sizeLog2, writeback, moderation, processing, ...rest }): Step[] => {
    const registers = block + channel * CHANNEL_STRIDE;
    const payload = wire.mapOf({ iova: at, sizeBytes: 0x1_0000n });
    const entries = ring.map((each) => encodeDescriptor({ ...each, hostAddress: Number(at) + each.hostAddress }));
    return [
      { do: 'answer', how: rest.answers },
      { do: 'send', bytes: hexOf(wire.messageOf({ command: Command.DMA_MAP, payload })), descriptors: descriptor },
      { do: 'poke', at: 0, bytes: hexOf(Buffer.concat(entries)) },
      store(CONFIG, 4, 6n, 4),
      store(0, 0x104, 0x1fn, 4),
      store(0, 0x200 + channel * 0x10, BigInt(processing), 4),
      store(0, registers + 0x08, at, 8),
      store(0, registers + 0x10, BigInt.asUintN(32, 1n << BigInt(sizeLog2 & 31)), 4),
      store(0, registers + 0x20, writeback ? BigInt.asUintN(64, at + 0x800n) : 0n, 8),
      store(0, registers + 0x28, moderation, 4),
      store(0, registers, 1n, 4),
      ...(rest.truncatesTo === undefined ? [] : [{ do: 'truncate', sizeBytes: rest.truncatesTo } as const]),
      store(0, registers + 0x14, BigInt(ring.length), 4),
      WAIT,
    ];
  });

const rubbish: Arbitrary<Step[]> = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 80 }), anyDescriptors)
  .map(([bytes, descriptors]) => [{ do: 'send', bytes: hexOf(bytes), descriptors }]);

const aside: Arbitrary<Step[]> = fc.oneof(
  fc.constant<Step[]>([{ do: 'wait', for: 'the event loop' }]),
  fc.boolean().map((on): Step[] => [{ do: 'read', on }]),
  fc.constantFrom(...ANSWERS).map((how): Step[] => [{ do: 'answer', how }]),
  fc.integer({ min: 0, max: SHRINKING_BYTES }).map((sizeBytes): Step[] => [{ do: 'truncate', sizeBytes }]),
  fc
    .tuple(fc.integer({ min: 0, max: MEMORY_BYTES - DESCRIPTOR_BYTES }), fc.uint8Array({ maxLength: DESCRIPTOR_BYTES }))
    .map(([at, bytes]): Step[] => [{ do: 'poke', at, bytes: hexOf(bytes) }]),
);

const group: Arbitrary<Step[]> = fc.oneof(
  { weight: 200, arbitrary: sendsOf(content) },
  { weight: 12, arbitrary: driver },
  { weight: 20, arbitrary: aside },
  { weight: 1, arbitrary: sendsOf(dmaReply) },
  { weight: 1, arbitrary: sendsOf(anyVersion) },
  { weight: 1, arbitrary: rubbish },
);

const RIGHT_VERSION = version.map(({ command, payload }): Step[] => [
  { do: 'send', bytes: hexOf(wire.messageOf({ command, payload })) },
]);

/** Most clients begin with a VERSION that is right, since nothing else is looked at before. */
export const client: Arbitrary<Step[]> = fc
  .tuple(
    fc.oneof(
      { weight: 30, arbitrary: RIGHT_VERSION },
      { weight: 1, arbitrary: sendsOf(anyVersion) },
      { weight: 1, arbitrary: fc.constant<Step[]>([]) },
    ),
    fc.array(group, { maxLength: 90, size: 'max' }),
  )
  .map(([first, rest]) => [...first, ...rest.flat()]);
