import { expect, it } from 'vitest';
import { decodeDescriptor, type Descriptor, encodeDescriptor } from '.';

const descriptor: Descriptor = {
  owner: true,
  interrupt: false,
  endOfPacket: true,
  lengthBytes: 0x0102_0304,
  hostAddress: 0x11_2233_4455_66,
  cardAddress: 0x1000,
};

it('encodes a descriptor into the bytes that layout.ts documents', () => {
  expect(Buffer.from(encodeDescriptor(descriptor)).toString('hex')).toBe(
    '05000000' + '04030201' + '6655443322110000' + '0010000000000000' + '0000000000000000',
  );
});

it('decodes what it has encoded, at any place of a buffer', () => {
  const bytes = new Uint8Array(100);
  bytes.set(encodeDescriptor(descriptor), 3);
  const decoded = { ...descriptor, owner: false, lengthBytes: 0, hostAddress: 0 };
  decodeDescriptor(new DataView(bytes.buffer), 3, decoded);
  expect(decoded).toEqual(descriptor);
});

it('decodes an address of all ones as one that is beyond every mapping', () => {
  const bytes = new Uint8Array(32).fill(0xff);
  const decoded = { ...descriptor };
  decodeDescriptor(new DataView(bytes.buffer), 0, decoded);
  expect(decoded.hostAddress).toBeGreaterThanOrEqual(2 ** 63);
});
