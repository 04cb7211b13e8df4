/**
 * CRC-32C (Castagnoli), as iSCSI uses it: RFC 3720, section 12.1 and appendix B.4. Reflected polynomial 0x82f63b78.
 * Eight table look-ups take eight bytes at a time ("slicing by 8").
 */
const polynomial = 0x82f63b78;

const tables = buildTables();

function buildTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? polynomial : 0);
    first[byte] = value;
  }
  const all = [first];
  for (let slice = 1; slice < 8; slice++) {
    const previous = all[slice - 1]!;
    all.push(first.map((_, byte) => (previous[byte]! >>> 8) ^ first[previous[byte]! & 0xff]!));
  }
  return all;
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** The CRC register before the first byte. */
export const crc32cStart = 0xffff_ffff;

/** The register after `bytes`; start with `crc32cStart`, end with `crc32cResult`. */
export function crc32cUpdate(register: number, bytes: Uint8Array): number {
  let crc = register;
  let at = 0;
  for (const end = bytes.length - (bytes.length % 8); at < end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  return crc >>> 0;
}

/** The CRC, 32 bits unsigned, of everything that went into `register`. */
export const crc32cResult = (register: number): number => (register ^ 0xffff_ffff) >>> 0;
