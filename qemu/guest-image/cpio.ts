/**
 * Writes the archive format that the kernel unpacks as its initial root file system.
 *
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc" cpio): after the magic, a header of
 * fourteen 8-digit hexadecimal fields, the name, then the data, each padded to 4 bytes. The last entry is TRAILER!!!.
 */
export type CpioEntry =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly data: Uint8Array; readonly executable?: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'character device'; readonly path: string; readonly major: number; readonly minor: number };

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
/** File types and permissions, as in stat(2). */
const MODE = { folder: 0o040755, file: 0o100644, program: 0o100755, link: 0o120777, device: 0o020600 } as const;
const NOTHING = new Uint8Array(0);

/** The archive of `entries`, in this order. A folder must precede its contents. The output is deterministic. */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) =>
    record(index + 1, entry.path.replace(/^\/+/, ''), modeOf(entry), entry),
  );
  return Buffer.concat([...parts, ...record(0, TRAILER, 0)]);
}

function modeOf(entry: CpioEntry): number {
  switch (entry.kind) {
    case 'folder':
      return MODE.folder;
    case 'file':
      return entry.executable === true ? MODE.program : MODE.file;
    case 'link':
      return MODE.link;
    case 'character device':
      return MODE.device;
  }
}

function record(inode: number, name: string, mode: number, entry?: CpioEntry): Uint8Array[] {
  const nameBytes = Buffer.from(`${name}\0`);
  const data = entry?.kind === 'file' ? entry.data : entry?.kind === 'link' ? Buffer.from(entry.target) : NOTHING;
  const device = entry?.kind === 'character device' ? entry : { major: 0, minor: 0 };
  const links = entry?.kind === 'folder' ? 2 : 1;
  // inode, mode, user, group, links, time, size, file system's device (2), node's device (2), name size, check
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, device.major, device.minor, nameBytes.length, 0];
  const header = Buffer.from(MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join(''));
  return [header, nameBytes, padding(header.length + nameBytes.length), data, padding(data.length)];
}

const padding = (length: number): Uint8Array => new Uint8Array((4 - (length % 4)) % 4);
