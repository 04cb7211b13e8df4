/**
 * Negotiation of version and capabilities, the first messages of a connection.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "VFIO_USER_VERSION". Requirements of QEMU's client are in
 * docs/how-it-works.md (it refuses a max_msg_fds of more than 16, and passes up to that many eventfds in a message).
 */
import { DeviceError } from '../device';
import { EINVAL, EPROTO } from './errno';

export interface Capabilities {
  /** Number of descriptors that the sender can receive in one message. */
  readonly maxMessageDescriptors: number;
  /** The largest `count` of a region or DMA access that the sender accepts, in bytes. */
  readonly maxTransferBytes: number;
  readonly maxDmaMaps: number;
  /** Page sizes for DMA maps, as a bit mask. */
  readonly pageSizes: number;
  readonly writeMultiple: boolean;
}

/** Defaults for absent capabilities. */
export const defaultCapabilities: Capabilities = {
  maxMessageDescriptors: 1,
  maxTransferBytes: 1024 * 1024,
  maxDmaMaps: 65535,
  pageSizes: 4096,
  writeMultiple: false,
};

export const serverCapabilities: Capabilities = {
  ...defaultCapabilities,
  maxMessageDescriptors: 8,
  writeMultiple: true,
};

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly capabilities: Capabilities;
}

/** Decodes the payload of a VERSION message or reply. @throws DeviceError if it is invalid */
export function decodeVersion(payload: Uint8Array): Version {
  if (payload.length < 4) throw new DeviceError(EINVAL, `VERSION has ${payload.length} bytes; it needs at least 4`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return {
    major: view.getUint16(0, true),
    minor: view.getUint16(2, true),
    capabilities: decodeCapabilities(payload.subarray(4)),
  };
}

export function encodeVersion({ major, minor, capabilities }: Version): Uint8Array {
  const text = JSON.stringify({
    capabilities: {
      max_msg_fds: capabilities.maxMessageDescriptors,
      max_data_xfer_size: capabilities.maxTransferBytes,
      max_dma_maps: capabilities.maxDmaMaps,
      pgsizes: capabilities.pageSizes,
      ...(capabilities.writeMultiple ? { write_multiple: true } : {}),
    },
  });
  const payload = Buffer.alloc(4 + Buffer.byteLength(text) + 1);
  payload.writeUInt16LE(major, 0);
  payload.writeUInt16LE(minor, 2);
  payload.write(text, 4);
  return payload;
}

/**
 * The reply to a client's proposal: version 0.0, and no capability that the client did not offer. @throws DeviceError
 * EPROTO
 */
export function answerVersion(proposed: Version): Version {
  if (proposed.major !== 0) {
    throw new DeviceError(
      EPROTO,
      `the client uses version ${proposed.major}.${proposed.minor}; this server supports 0.0`,
    );
  }
  const writeMultiple = serverCapabilities.writeMultiple && proposed.capabilities.writeMultiple;
  return { major: 0, minor: 0, capabilities: { ...serverCapabilities, writeMultiple } };
}

function decodeCapabilities(data: Uint8Array): Capabilities {
  if (data.length === 0) return defaultCapabilities;
  const end = data.indexOf(0);
  const text = Buffer.from(end < 0 ? data : data.subarray(0, end)).toString('utf8');
  if (text === '') return defaultCapabilities;
  const given = objectIn(parse(text), 'capabilities');
  const whole = (name: string, otherwise: number): number => {
    const value = given[name];
    if (value === undefined) return otherwise;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw new DeviceError(EINVAL, `VERSION: capability ${name} is ${wordsOf(value)}; it must be a positive integer`);
  };
  return {
    maxMessageDescriptors: whole('max_msg_fds', defaultCapabilities.maxMessageDescriptors),
    maxTransferBytes: whole('max_data_xfer_size', defaultCapabilities.maxTransferBytes),
    maxDmaMaps: whole('max_dma_maps', defaultCapabilities.maxDmaMaps),
    pageSizes: whole('pgsizes', defaultCapabilities.pageSizes),
    writeMultiple: given['write_multiple'] === true,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DeviceError(EINVAL, `VERSION: the version data is not JSON: ${JSON.stringify(text.slice(0, 80))}`);
  }
}

/** Nested values are not shown: their depth is the client's. */
const wordsOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'an object or array' : JSON.stringify(value).slice(0, 80);

function objectIn(value: unknown, name: string): Record<string, unknown> {
  const inner = isObject(value) ? (value[name] ?? {}) : undefined;
  if (isObject(inner)) return inner;
  throw new DeviceError(EINVAL, `VERSION: the version data is not an object with an object "${name}"`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
