/**
 * Detects a damaged snapshot, with a checksum for each extent of data in the file. Holes are not read, so the cost
 * depends on how much memory the guest has used, not on how much it has.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { loadNative } from '../../emulator/native';

/** An extent [start, end) of a file, in bytes, and the CRC-32 of its contents. */
export type ChecksummedExtent = readonly [start: number, end: number, crc: number];

const PIECE_BYTES = 4 * 2 ** 20;

export async function checksumsOf(path: string): Promise<ChecksummedExtent[]> {
  const native = loadNative();
  await using file = await open(path);
  const extents: ChecksummedExtent[] = [];
  for (let at = 0; ;) {
    const extent = native.nextExtent(file.fd, at);
    if (extent === undefined) return extents;
    const [start, end] = extent;
    extents.push([start, end, await checksum(file, start, end)]);
    at = end;
  }
}

/** Whether the file has the same contents as when the checksums were computed. */
export async function isUndamaged(path: string, extents: readonly ChecksummedExtent[]): Promise<boolean> {
  await using file = await open(path);
  for (const [start, end, crc] of extents) {
    if ((await checksum(file, start, end)) !== crc) return false;
  }
  return true;
}

async function checksum(file: FileHandle, start: number, end: number): Promise<number> {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - start));
  let crc = 0;
  for (let at = start; at < end;) {
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, end - at), at);
    if (bytesRead === 0) return -1; // the file was truncated
    crc = crc32(piece.subarray(0, bytesRead), crc);
    at += bytesRead;
  }
  return crc;
}
