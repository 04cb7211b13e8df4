/** The file of a pack: a compressed tar archive of its manifest, pack.json and then its parts. */
import { createWriteStream, readlinkSync, renameSync, rmSync, Stats, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type Duplex, pipeline as connect, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Header, Pack, Parser, ReadEntry, UnpackSync } from 'tar';
import { ProvisionError } from '../basis/errors';
import { type StepProgress } from '../basis/progress';
import { damagedFiles } from '../cache/checksums';
import { MANIFEST, readManifest } from '../cache/folder';
import { decompressor, PACK_NAMES } from './compression';
import { type PackManifest } from './imported';

export const PACK_MANIFEST = 'pack.json';

interface Work {
  readonly progress: StepProgress;
  readonly signal: AbortSignal | undefined;
}

/** Writes the parts, which are in `folder`, without links that lead out of it. The file is complete or absent. */
export async function writeArchive(
  file: string,
  folder: string,
  manifest: PackManifest,
  { compress, progress, signal }: Work & { readonly compress: () => Duplex },
): Promise<void> {
  const isOutside = (name: string, stats: object): boolean =>
    stats instanceof Stats && stats.isSymbolicLink() && isAbsolute(readlinkSync(join(folder, name)));
  const filter = (name: string, stats: object): boolean => !isOutside(name, stats);
  const pack = new Pack({ cwd: folder, portable: true, noMtime: true, strict: true, filter });
  pack.add(entryOf(PACK_MANIFEST, Buffer.from(JSON.stringify(manifest))));
  for (const { name } of manifest.parts) pack.add(name);
  pack.end();
  const partial = `${file}.${process.pid}.part`;
  const target = createWriteStream(partial);
  const report = (): void => progress.report('writing', { doneBytes: target.bytesWritten });
  const timer = setInterval(report, 1000);
  try {
    await pipeline(pack, compress(), target, { ...(signal && { signal }) });
    renameSync(partial, file);
  } finally {
    clearInterval(timer);
    rmSync(partial, { force: true });
  }
}

function entryOf(path: string, data: Buffer): ReadEntry {
  const entry = new ReadEntry(new Header({ path, mode: 0o644, size: data.length, type: 'File' }));
  entry.end(data);
  return entry;
}

/** @throws ProvisionError if it is no pack */
export async function readArchiveManifest(file: string): Promise<PackManifest> {
  let first: ReadEntry | undefined;
  const chunks: Buffer[] = [];
  const onReadEntry = (entry: ReadEntry): void => {
    if (first === undefined && entry.path === PACK_MANIFEST) entry.on('data', (chunk) => chunks.push(chunk));
    else entry.resume();
    first ??= entry;
  };
  const parser = new Parser({ strict: true, onReadEntry });
  let why = `it does not begin with ${PACK_MANIFEST}`;
  try {
    await feed(await decompressed(file), parser, () => first === undefined || !first.emittedEnd);
    if (first?.path === PACK_MANIFEST) return JSON.parse(Buffer.concat(chunks).toString()) as PackManifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === 'open') why = 'it is not there, or cannot be read';
    else why = `it is no pack, or damaged: ${(error as Error).message}`;
  }
  throw new ProvisionError({
    attempted: `reading the pack ${file}`,
    seen: why,
    cure: `give a file that "ghostcard provision --export" has written (${PACK_NAMES})`,
  });
}

/** Unpacks the parts to `folder`. @throws ProvisionError if the file is damaged, or something of `parts` is missing */
export async function extractArchive(
  file: string,
  folder: string,
  { parts }: PackManifest,
  { progress, signal }: Work,
): Promise<void> {
  const filter = (name: string): boolean => name !== PACK_MANIFEST;
  const unpack = new UnpackSync({ cwd: folder, strict: true, preserveOwner: false, filter });
  const totalBytes = statSync(file).size;
  let doneBytes = 0;
  const onBytes = (bytes: number): void =>
    progress.report('unpacking', { doneBytes: (doneBytes += bytes), totalBytes });
  try {
    await feed(await decompressed(file, onBytes), unpack, () => {
      signal?.throwIfAborted();
      return true;
    });
    for (const { name } of parts) {
      const part = join(folder, name);
      const damaged = await damagedFiles(part, readManifest(part)?.files ?? { [MANIFEST]: 0 });
      if (damaged.length > 0) throw new Error(`files of ${name} are missing, or others: ${damaged.join(', ')}`);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new ProvisionError({
      attempted: `unpacking the pack ${file}`,
      seen: `it is damaged: ${(error as Error).message}`,
      cure: 'copy it here again, and compare its size',
    });
  }
}

async function decompressed(file: string, onBytes: (bytes: number) => void = () => {}): Promise<Readable> {
  const start = Buffer.alloc(4);
  const handle = await open(file);
  await handle.read(start, 0, start.length, 0);
  const source = handle
    .createReadStream({ start: 0, highWaterMark: 1 << 18 })
    .on('data', ({ length }) => onBytes(length));
  return connect(source, decompressor(start), () => {}); // who reads it sees the error
}

/** Reads to the end, or as long as it `goesOn`. */
async function feed(source: Readable, parser: Parser, goesOn: () => boolean): Promise<void> {
  let failure: Error | undefined;
  parser.on('error', (error) => (failure ??= error));
  for await (const chunk of source) {
    if (!goesOn()) return;
    parser.write(chunk as Buffer);
    if (failure !== undefined) throw failure;
  }
  parser.end();
  if (failure !== undefined) throw failure;
}
