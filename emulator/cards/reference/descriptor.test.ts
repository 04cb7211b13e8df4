import { expect, it } from 'vitest';
import { type Descriptor, DESCRIPTOR_CODEC, encodeDescriptor } from './descriptor';

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
  const decoded = DESCRIPTOR_CODEC.in(new DataView(bytes.buffer));
  decoded.offset = 3;
  const { owner, interrupt, endOfPacket, lengthBytes, hostAddress, cardAddress } = decoded;
  const flags = { owner: owner === 1, interrupt: interrupt === 1, endOfPacket: endOfPacket === 1 };
  expect({ ...flags, lengthBytes, hostAddress, cardAddress }).toEqual(descriptor);
});

it('decodes an address of all ones as one that is beyond every mapping, and exactly when asked to', () => {
  const decoded = DESCRIPTOR_CODEC.in(new DataView(new Uint8Array(32).fill(0xff).buffer));
  expect(decoded.hostAddress).toBeGreaterThanOrEqual(2 ** 63);
  expect(decoded.exact('hostAddress')).toBe(2n ** 64n - 1n);
});
