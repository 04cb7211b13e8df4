import { describe, expect, test } from 'vitest';
import { answerVersion, decodeVersion, defaultCapabilities, encodeVersion, serverCapabilities } from './version';

const payload = (text: string, version = [0, 0, 0, 0]): Uint8Array =>
  Uint8Array.from([...version, ...Buffer.from(text)]);

/** What QEMU 11.1 sends. */
const qemu =
  '{"capabilities": {"migration": {"pgsize": 4096, "max_bitmap_size": 268435456}, "max_msg_fds": 16, ' +
  '"max_data_xfer_size": 1048576, "pgsizes": 4096, "max_dma_maps": 65535, "write_multiple": true}}\0';

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('the version data of a client', () => {
  test('from QEMU is decoded, and unknown capabilities are ignored', () => {
    expect(decodeVersion(payload(qemu))).toEqual({
      major: 0,
      minor: 0,
      capabilities: { ...defaultCapabilities, maxMessageDescriptors: 16, writeMultiple: true },
    });
  });

  test.each([
    ['no data', ''],
    ['only NUL', '\0'],
    ['an empty object', '{}\0'],
    ['no terminator', '{"capabilities":{}}'],
  ])('with %s gets the defaults of the specification', (_, text) => {
    expect(decodeVersion(payload(text)).capabilities).toEqual(defaultCapabilities);
  });

  test.each([
    ['invalid JSON', '{"capabilities"\0', 'is not JSON'],
    ['no JSON object', '[1]\0', 'is not an object'],
    ['capabilities that are not an object', '{"capabilities":7}\0', 'is not an object'],
    ['a size of 0', '{"capabilities":{"max_data_xfer_size":0}}\0', 'max_data_xfer_size is 0'],
    ['a negative size', '{"capabilities":{"max_data_xfer_size":-1}}\0', 'max_data_xfer_size is -1'],
    ['a string in place of a number', '{"capabilities":{"max_msg_fds":"8"}}\0', 'max_msg_fds is "8"'],
    ['a nested value', `{"capabilities":{"max_msg_fds":${nested(100_000)}}}\0`, 'max_msg_fds is an object or array'],
  ])('with %s is refused', (_, text, message) => {
    expect(() => decodeVersion(payload(text))).toThrow(message);
  });

  test('shorter than a version number is refused', () => {
    expect(() => decodeVersion(Uint8Array.of(0, 0, 0))).toThrow('VERSION has 3 bytes; it needs at least 4');
  });
});

describe('the reply', () => {
  const proposal = decodeVersion(payload(qemu));

  test('has version 0.0, whatever minor version is proposed', () => {
    expect(answerVersion({ ...proposal, minor: 7 })).toEqual({ major: 0, minor: 0, capabilities: serverCapabilities });
  });

  test('offers no capability that the client did not offer', () => {
    const capabilities = { ...proposal.capabilities, writeMultiple: false };
    expect(answerVersion({ ...proposal, capabilities }).capabilities.writeMultiple).toBe(false);
  });

  test('is an error when the major version differs', () => {
    expect(() => answerVersion({ ...proposal, major: 1 })).toThrow(
      'the client uses version 1.0; this server supports 0.0',
    );
  });

  test('is encoded as version, JSON and NUL', () => {
    const text = Buffer.from(encodeVersion(answerVersion(proposal))).toString('latin1');
    expect(text).toBe(
      '\0\0\0\0{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"max_dma_maps":65535,' +
        '"pgsizes":4096,"write_multiple":true}}\0',
    );
  });
});
