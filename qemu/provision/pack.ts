/**
 * Packs are written and taken into the cache: `ghostcard provision --export`, `--import`. What they are is described in
 * packs/imported.ts.
 */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { version } from '../../emulator/folders';
import { ProvisionError } from './basis/errors';
import { type ProvisionOptions } from './basis/types';
import { type Entry } from './cache/cache';
import { entriesOf, explainCacheError, readManifest } from './cache/folder';
import { extractArchive, readArchiveManifest, writeArchive } from './packs/archive';
import { compressionOf } from './packs/compression';
import { PACK_STEP, packIngredients, type PackManifest, type PackPart } from './packs/imported';
import { entriesOfGuests } from './provision';
import { Context } from './steps/context';

/**
 * Writes all that guests need to one file, which is complete or absent. What is not in the cache is made first.
 * @returns what is in it
 * @throws ProvisionError
 */
export async function exportPack(file: string, options: ProvisionOptions = {}): Promise<PackManifest> {
  const target = path.resolve(file);
  const compress = compressionOf(target);
  checkWritable(path.dirname(target), target);
  const context = new Context(options);
  const [own] = Object.entries(context.given);
  if (own !== undefined) {
    throw new ProvisionError({
      attempted: `writing the pack ${target}`,
      seen: `${own[0]} is given (${own[1]}), and a pack has only what ghostcard itself provides`,
      cure: `leave out --${own[0]} and GHOSTCARD_${own[0].toUpperCase()}, and give it where the pack is imported`,
    });
  }
  const parts = (await entriesOfGuests(context)).map((entry) => partOf(context, entry));
  const kernel = parts.find(({ step }) => step === 'kernel')?.manifest.description;
  const description = `pack for ${context.guestArch} guests: ${kernel}`;
  const manifest: PackManifest = { description, version, hostArch: process.arch, parts };
  const progress = context.progress(PACK_STEP);
  const { signal } = context;
  await writeArchive(target, entriesOf(context.cache.folder), manifest, { compress, progress, signal });
  progress.finish(description);
  return manifest;
}

/** Before what takes minutes. */
function checkWritable(folder: string, target: string): void {
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new ProvisionError({
      attempted: `writing the pack ${target}`,
      seen: (error as Error).message,
      cure: 'give it a place in a folder that exists and that you can write to',
    });
  }
}

function partOf({ cache }: Context, { folder }: Entry<unknown>): PackPart {
  const complete = readManifest<PackPart['manifest']>(folder);
  if (complete === undefined) throw new Error(`${folder} was removed while it was being exported`);
  const { step, ingredients, manifest } = complete;
  return { step, name: path.relative(entriesOf(cache.folder), folder), ingredients, manifest };
}

/** @returns what is in it @throws ProvisionError, for a pack of another version too */
export async function importPack(
  file: string,
  options: Pick<ProvisionOptions, 'cacheDir' | 'env' | 'signal' | 'onProgress'> = {},
): Promise<PackManifest> {
  const source = path.resolve(file);
  const context = new Context(options);
  const manifest = await readArchiveManifest(source);
  checkFits(source, manifest);
  const progress = context.progress(PACK_STEP);
  const unpack = async (folder: string): Promise<PackManifest> => {
    await extractArchive(source, folder, manifest, { progress, signal: context.signal });
    return manifest;
  };
  try {
    await context.cache.publish(PACK_STEP, packIngredients(manifest), unpack, { signal: context.signal });
  } catch (error) {
    throw explainCacheError(error, context.cache.folder);
  }
  progress.finish(manifest.description);
  return manifest;
}

function checkFits(source: string, manifest: PackManifest): void {
  const refuse = (seen: string, cure: string): never => {
    throw new ProvisionError({ attempted: `importing the pack ${source}`, seen, cure });
  };
  if (manifest.version !== version) {
    refuse(
      `it was exported by ghostcard ${manifest.version}, and this is ghostcard ${version}: guests' programs and what talks to them belong together`,
      `export it again with ghostcard ${version}, or install ghostcard ${manifest.version} here`,
    );
  }
  if (manifest.hostArch !== process.arch)
    refuse(
      `its QEMU runs on ${manifest.hostArch}, and this machine is ${process.arch}`,
      `export it on a machine that is ${process.arch} too`,
    );
}
