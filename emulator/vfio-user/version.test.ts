import { describe, expect, test } from 'vitest';
import { answerVersion, decodeVersion, defaultCapabilities, encodeVersion, serverCapabilities } from './version';

const payload = (text: string, version = [0, 0, 0, 0]): Uint8Array =>
  Uint8Array.from([...version, ...Buffer.from(text)]);

/** What QEMU 11.1 sends. */
const qemu =
  '{"capabilities": {"migration": {"pgsize": 4096, "max_bitmap_size": 268435456}, "max_msg_fds": 16, ' +
  '"max_data_xfer_size": 1048576, "pgsizes": 4096, "max_dma_maps": 65535, "write_multiple": true}}\0';

describe('what a client proposes', () => {
  test("QEMU's version data is understood; what is not known is passed over", () => {
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
  ])('%s means the defaults of the specification', (_, text) => {
    expect(decodeVersion(payload(text)).capabilities).toEqual(defaultCapabilities);
  });

  test.each([
    ['no JSON', '{"capabilities"\0', 'is not JSON'],
    ['no object', '[1]\0', 'is not an object'],
    ['capabilities that are no object', '{"capabilities":7}\0', 'is not an object'],
    ['a size of nothing', '{"capabilities":{"max_data_xfer_size":0}}\0', 'max_data_xfer_size is 0'],
    ['a negative size', '{"capabilities":{"max_data_xfer_size":-1}}\0', 'max_data_xfer_size is -1'],
    ['a number that is none', '{"capabilities":{"max_msg_fds":"8"}}\0', 'max_msg_fds is "8"'],
  ])('%s is refused', (_, text, message) => {
    expect(() => decodeVersion(payload(text))).toThrow(message);
  });

  test('fewer bytes than a version has are refused', () => {
    expect(() => decodeVersion(Uint8Array.of(0, 0, 0))).toThrow('VERSION has 3 bytes; it needs at least 4');
  });
});

describe('the answer', () => {
  const proposal = decodeVersion(payload(qemu));

  test('is version 0.0 whatever minor version is proposed', () => {
    expect(answerVersion({ ...proposal, minor: 7 })).toEqual({ major: 0, minor: 0, capabilities: serverCapabilities });
  });

  test('offers no capability that the client did not', () => {
    const capabilities = { ...proposal.capabilities, writeMultiple: false };
    expect(answerVersion({ ...proposal, capabilities }).capabilities.writeMultiple).toBe(false);
  });

  test('is a refusal when the major version is another', () => {
    expect(() => answerVersion({ ...proposal, major: 1 })).toThrow('the client speaks version 1.0; this server 0.0');
  });

  test('is encoded as the version, JSON and a NUL', () => {
    const text = Buffer.from(encodeVersion(answerVersion(proposal))).toString('latin1');
    expect(text).toBe(
      '\0\0\0\0{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"max_dma_maps":65535,' +
        '"pgsizes":4096,"write_multiple":true}}\0',
    );
  });
});
