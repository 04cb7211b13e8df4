import { describe, expect, test } from 'vitest';
import {
  decodeDmaMap,
  decodeDmaUnmap,
  decodeHeader,
  decodeInfoRequest,
  decodeSetIrqs,
  encodeDeviceInfo,
  encodeHeader,
  encodeIrqInfo,
  encodeNoRegionIoFds,
  encodeRegionInfo,
  headerError,
} from './codec';
import { type DeviceLayout, type IrqLayout, type RegionLayout } from '../device';

/** Bytes in wire order; spaces are ignored. */
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const golden = (text: string): string => text.replaceAll(' ', '');
const refused = (errno: number, text: string) =>
  expect.objectContaining({ name: 'DeviceError', errno, message: expect.stringContaining(text) as string });
const EINVAL = 22;

describe('header', () => {
  test('a command header is decoded field by field (vfio-user header)', () => {
    const view = new DataView(bytes('3412 0900 20000000 10000000 00000000').buffer);
    expect(decodeHeader(view, 0)).toEqual({ id: 0x1234, command: 9, sizeBytes: 32, flags: 0x10, errno: 0 });
  });

  test('an error reply is encoded with its error number (vfio-user header)', () => {
    const out = new Uint8Array(16);
    encodeHeader(new DataView(out.buffer), 0x1234, 5, 16, 0x21, 22);
    expect(hex(out)).toBe(golden('3412 0500 10000000 21000000 16000000'));
  });

  test.each([
    [{ sizeBytes: 15, flags: 0 }, 'a message of 15 bytes is shorter than its header (16)'],
    [{ sizeBytes: 101, flags: 0 }, 'a message of 101 bytes is longer than the negotiated maximum (100)'],
    [{ sizeBytes: 16, flags: 2 }, 'message type 2 is neither a command (0) nor a reply (1)'],
    [{ sizeBytes: 16, flags: 0x10 }, undefined],
    [{ sizeBytes: 100, flags: 1 }, undefined],
  ])('header %o: %s', (header, message) => {
    expect(headerError({ id: 0, command: 0, errno: 0, ...header }, 100)).toBe(message);
  });
});

describe('DMA_MAP and DMA_UNMAP', () => {
  test('a map request is decoded field by field', () => {
    const request = bytes('20000000 03000000 0010000000000000 0000fcff00000000 0000040000000000');
    expect(decodeDmaMap(request)).toEqual({
      readable: true,
      writable: true,
      fileOffset: 0x1000n,
      iova: 0xfffc_0000n,
      sizeBytes: 0x4_0000n,
    });
  });

  test('a range that ends at the top of the address space is valid, one byte more is refused', () => {
    const top = '20000000 01000000 0000000000000000 00f0ffffffffffff';
    expect(decodeDmaMap(bytes(`${top} 0010000000000000`)).sizeBytes).toBe(4096n);
    expect(() => decodeDmaMap(bytes(`${top} 0110000000000000`))).toThrow(refused(EINVAL, 'is not a valid range'));
  });

  test('an empty range, unknown flags and a short payload are refused', () => {
    const rest = '0000000000000000 0000000000000000';
    expect(() => decodeDmaMap(bytes(`20000000 01000000 ${rest} 0000000000000000`))).toThrow(
      refused(EINVAL, 'not a valid range'),
    );
    expect(() => decodeDmaMap(bytes(`20000000 04000000 ${rest} 0010000000000000`))).toThrow(
      refused(EINVAL, 'flags 0x4'),
    );
    expect(() => decodeDmaMap(bytes('20000000 01000000'))).toThrow(
      refused(EINVAL, 'has 8 bytes of payload; it needs 32'),
    );
  });

  test('an unmap request is decoded field by field', () => {
    const request = bytes('18000000 02000000 0010000000000000 0000040000000000');
    expect(decodeDmaUnmap(request)).toEqual({ flags: 2, iova: 0x1000n, sizeBytes: 0x4_0000n });
  });
});

describe('information', () => {
  const layout = (resettable: boolean): DeviceLayout => ({
    resettable,
    regions: Array.from({ length: 9 }, () => ({ sizeBytes: 0, readable: false, writable: false })),
    irqs: Array.from({ length: 5 }, () => ({ count: 0, maskable: false, autoMasked: false, noResize: false })),
  });

  test('device info has the PCI flag, the reset flag and the numbers of regions and interrupt indexes (VFIO DEVICE_GET_INFO)', () => {
    expect(hex(encodeDeviceInfo(layout(true)))).toBe(golden('10000000 03000000 09000000 05000000'));
    expect(hex(encodeDeviceInfo(layout(false)))).toBe(golden('10000000 02000000 09000000 05000000'));
  });

  test('a region that cannot be mapped has no capabilities', () => {
    const region: RegionLayout = { sizeBytes: 0x4000, readable: true, writable: true };
    expect(hex(encodeRegionInfo(0, region, 32))).toBe(
      golden('20000000 03000000 00000000 00000000 0040000000000000 0000000000000000'),
    );
  });

  test('a region that can be mapped as a whole has the mmap flag and no capability', () => {
    const areas = [{ offset: 0, sizeBytes: 0x4000 }];
    const region: RegionLayout = { sizeBytes: 0x4000, readable: true, writable: false, mappable: { fd: 3, areas } };
    expect(hex(encodeRegionInfo(2, region, 32))).toBe(
      golden('20000000 05000000 02000000 00000000 0040000000000000 0000000000000000'),
    );
  });

  const sparse: RegionLayout = {
    sizeBytes: 0x4000,
    readable: true,
    writable: true,
    mappable: {
      fd: 3,
      areas: [
        { offset: 0x1000, sizeBytes: 0x1000 },
        { offset: 0x3000, sizeBytes: 0x1000 },
      ],
    },
  };

  test('a region that can be mapped in parts lists them in a sparse mmap capability (VFIO DEVICE_GET_REGION_INFO)', () => {
    expect(hex(encodeRegionInfo(2, sparse, 80))).toBe(
      golden(
        '50000000 0f000000 02000000 20000000 0040000000000000 0000000000000000' +
          '0100 0100 00000000 02000000 00000000' +
          '0010000000000000 0010000000000000 0030000000000000 0010000000000000',
      ),
    );
  });

  test('a reply that does not fit into argsz is cut to its fixed part and has the needed argsz', () => {
    expect(hex(encodeRegionInfo(2, sparse, 79))).toBe(
      golden('50000000 0f000000 02000000 20000000 0040000000000000 0000000000000000'),
    );
  });

  test('interrupt info has the flags and the number of vectors', () => {
    const irq: IrqLayout = { count: 1, maskable: true, autoMasked: true, noResize: false };
    expect(hex(encodeIrqInfo(0, irq))).toBe(golden('10000000 07000000 00000000 01000000'));
    expect(hex(encodeIrqInfo(2, { count: 8, maskable: false, autoMasked: false, noResize: true }))).toBe(
      golden('10000000 09000000 02000000 08000000'),
    );
  });

  test('the list of I/O descriptors of a region is empty', () => {
    expect(hex(encodeNoRegionIoFds(4))).toBe(golden('10000000 00000000 04000000 00000000'));
  });

  test('a request whose argsz is too small for the reply is refused', () => {
    expect(decodeInfoRequest(bytes('10000000 00000000 02000000 00000000'), 'X', 16)).toEqual({ argsz: 16, index: 2 });
    expect(() => decodeInfoRequest(bytes('0f000000 00000000 02000000'), 'X', 16)).toThrow(
      refused(EINVAL, 'X: argsz 15 is too small for the reply (16)'),
    );
  });
});

describe('DEVICE_SET_IRQS', () => {
  const irqs: IrqLayout[] = [
    { count: 1, maskable: true, autoMasked: true, noResize: false },
    { count: 4, maskable: false, autoMasked: false, noResize: false },
  ];
  const decode = (text: string) => decodeSetIrqs(bytes(text), irqs);

  test('a request with eventfds for a range of vectors is decoded', () => {
    expect(decode('14000000 24000000 01000000 02000000 02000000')).toEqual({
      data: 'eventfd',
      action: 'trigger',
      index: 1,
      start: 2,
      count: 2,
      vectors: [],
    });
  });

  test('a request with booleans has one per vector', () => {
    const { data, action, vectors } = decode('18000000 22000000 01000000 00000000 04000000 01 00 00 ff');
    expect({ data, action, vectors }).toEqual({ data: 'bool', action: 'trigger', vectors: [true, false, false, true] });
  });

  test('a request without data and vectors disables the index', () => {
    expect(decode('14000000 21000000 01000000 00000000 00000000')).toMatchObject({ data: 'none', count: 0 });
  });

  test.each([
    ['two kinds of data', '14000000 23000000 01000000 00000000 01000000', 'flags 0x23'],
    ['two actions', '14000000 31000000 00000000 00000000 01000000', 'flags 0x31'],
    ['no action', '14000000 01000000 00000000 00000000 01000000', 'flags 0x1'],
    ['an unknown flag', '14000000 61000000 00000000 00000000 01000000', 'flags 0x61'],
    ['an index that does not exist', '14000000 21000000 02000000 00000000 01000000', 'interrupt indexes 0 to 1'],
    ['more vectors than there are', '14000000 21000000 01000000 03000000 02000000', 'the index has 4 vectors'],
    ['a range that wraps', '14000000 21000000 01000000 ffffffff 02000000', 'the index has 4 vectors'],
    ['an unmask of no vectors', '14000000 11000000 00000000 00000000 00000000', 'a count of 0 is only allowed'],
    ['a mask of an index that is not maskable', '14000000 09000000 01000000 00000000 01000000', 'cannot be masked'],
    ['missing booleans', '14000000 22000000 01000000 00000000 04000000 01', 'it has 1 booleans'],
    ['half a request', '14000000 21000000', 'has 8 bytes of payload; it needs 20'],
  ])('%s is refused', (_, text, message) => {
    expect(() => decode(text)).toThrow(refused(EINVAL, message));
  });
});
