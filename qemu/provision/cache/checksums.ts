/**
 * What an entry's manifest says of its files, by which damaged ones are found: whenever an entry is used, by sizes and
 * times, which cost nothing; and by contents, where the time is another (a cache that was copied) or all is to be known.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, type Stats, statSync, utimesSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import path from 'node:path';
import { filesBelow } from '../basis/host-files';

/** The SHA-256 in base64, 128 bits of it; null for a file with holes, the memory of a guest. */
export type FileRecord = readonly [sizeBytes: number, modifiedMs: number, sha256: string | null];

/** By the files' names in the folder. Entries of early versions have sizes only. */
export type FileRecords = Readonly<Record<string, FileRecord | number>>;

/** Of every regular file below a folder. */
export async function recordFiles(folder: string): Promise<Record<string, FileRecord>> {
  const records: Record<string, FileRecord> = {};
  for (const name of filesBelow(folder)) {
    const file = path.join(folder, name);
    const stats = statSync(file);
    records[name] = [stats.size, Math.floor(stats.mtimeMs), hasHoles(stats) ? null : await contentOf(file)];
  }
  return records;
}

const hasHoles = ({ size, blocks }: Stats): boolean => size > CHUNK_BYTES && blocks * 512 < size;

/** Whether all files are there, with their sizes and times; the contents decide where a time is another. */
export const isWhole = (folder: string, { files = {} }: { readonly files?: FileRecords }): boolean =>
  Object.entries(files).every(([name, record]) => isAsRecorded(path.join(folder, name), record));

/** Rounding, in files and by those who copy them: nobody damages a file within this time of its making. */
const SAME_TIME_MS = 2;

function isAsRecorded(file: string, record: FileRecord | number): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (typeof record === 'number') return stats?.size === record;
  const [sizeBytes, modifiedMs, content] = record;
  if (stats?.size !== sizeBytes) return false;
  if (content === null || Math.abs(stats.mtimeMs - modifiedMs) < SAME_TIME_MS) return true;
  if (contentNow(file) !== content) return false;
  setTime(file, modifiedMs);
  return true;
}

/** So that the next look costs nothing again, unless the cache is read-only. */
function setTime(file: string, modifiedMs: number): void {
  try {
    utimesSync(file, modifiedMs / 1000, modifiedMs / 1000);
  } catch {
    // It is read again the next time.
  }
}

/** Names of the files whose contents are others than when the entry was made. Reads all of them, chunk by chunk. */
export async function damagedFiles(folder: string, files: FileRecords = {}): Promise<string[]> {
  const damaged: string[] = [];
  for (const [name, record] of Object.entries(files)) {
    const file = path.join(folder, name);
    const [sizeBytes, , content] = typeof record === 'number' ? [record, 0, null] : record;
    const isSound = statSync(file, { throwIfNoEntry: false })?.size === sizeBytes;
    if (!isSound || (content !== null && (await contentOf(file)) !== content)) damaged.push(name);
  }
  return damaged;
}

const CHUNK_BYTES = 1 << 20;

function* chunksOf(file: string): Generator<Uint8Array> {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let length; (length = readSync(fd, buffer)) > 0;) yield buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

const digestOf = (hash: Hash): string => hash.digest().subarray(0, 16).toString('base64');

function contentNow(file: string): string {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(file)) hash.update(chunk);
  return digestOf(hash);
}

/** Leaves time for other work between chunks: this process may be serving cards. */
async function contentOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(file)) {
    hash.update(chunk);
    if (chunk.length === CHUNK_BYTES) await turn();
  }
  return digestOf(hash);
}
