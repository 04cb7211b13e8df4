/**
 * Writes the index files that kmod reads (the modprobe of most distributions; busybox's modprobe reads the text of
 * modules.dep): a trie of module names whose values are the lines of modules.dep.
 *
 * Source: the description of the format in kmod's libkmod/libkmod-index.c. All numbers are big-endian: u32 magic, u32
 * version, u32 offset of the root node. A node has, depending on the flags in the offset that points to it: a prefix
 * (string, NUL); the first and last byte of its children (u8, u8) and an offset for each value between them (u32); the
 * number of values (u32), each with a priority (u32) and a string (NUL).
 */
const MAGIC = 0xb007f457;
const VERSION = 0x0002_0001;
const HEADER_BYTES = 12;
const FLAGS = { prefix: 0x8000_0000, values: 0x4000_0000, children: 0x2000_0000 } as const;

/** An index of these values by name. It may be empty. */
export function moduleIndex(values: ReadonlyMap<string, string>): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const chunks: Buffer[] = [header];
  let sizeBytes = HEADER_BYTES;

  /**
   * Writes the node for names that share their first `depth` characters, children first. Returns the offset of the
   * node, with its flags.
   */
  const write = (names: readonly string[], depth: number): number => {
    const prefix = commonPrefix(names).slice(depth);
    const end = depth + prefix.length;
    const children = new Map<number, number>();
    for (const [byte, group] of groupBy(names, end)) children.set(byte, write(group, end + 1));
    const own = names.filter((name) => name.length === end);

    const parts: Buffer[] = [];
    if (prefix !== '') parts.push(string(prefix));
    if (children.size > 0) {
      const first = Math.min(...children.keys());
      const last = Math.max(...children.keys());
      parts.push(Buffer.of(first, last));
      for (let byte = first; byte <= last; byte += 1) parts.push(u32(children.get(byte) ?? 0));
    }
    if (own.length > 0) parts.push(u32(own.length), ...own.flatMap((name) => [u32(0), string(values.get(name)!)]));

    const offset = sizeBytes;
    for (const part of parts) sizeBytes += part.length;
    chunks.push(...parts);
    const flags =
      (prefix !== '' ? FLAGS.prefix : 0) +
      (own.length > 0 ? FLAGS.values : 0) +
      (children.size > 0 ? FLAGS.children : 0);
    return flags + offset;
  };

  const root = values.size === 0 ? 0 : write([...values.keys()].sort(), 0);
  [MAGIC, VERSION, root].forEach((word, index) => header.writeUInt32BE(word, 4 * index));
  return Buffer.concat(chunks);
}

function commonPrefix(names: readonly string[]): string {
  const [first = '', ...others] = names;
  let length = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length);
}

/** The names that are longer than `depth` characters, grouped by the next byte. */
function groupBy(names: readonly string[], depth: number): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const name of names) {
    if (name.length > depth) {
      const byte = name.charCodeAt(depth);
      const group = groups.get(byte);
      if (group === undefined) groups.set(byte, [name]);
      else group.push(name);
    }
  }
  return groups;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const string = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1');
