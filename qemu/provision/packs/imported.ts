/**
 * Packs that were imported. A pack has all that guests of one architecture and kernel need, for machines without apt, a
 * compiler or a network. It is one entry of the cache; its parts are entries of the cache that it was exported from, and
 * are taken before what this machine would fetch and build.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { type Cache, cacheKey, type Described, type Entry, type Ingredients } from '../cache/cache';
import { entriesOf, readManifest } from '../cache/folder';

export const PACK_STEP = 'pack';

/** An entry of the cache that the pack was exported from. */
export interface PackPart {
  readonly step: string;
  /** Its folder, relative to the pack's. */
  readonly name: string;
  readonly ingredients: Ingredients;
  readonly manifest: Described;
}

export interface PackManifest extends Described {
  /** The version of ghostcard that has exported it. */
  readonly version: string;
  /** The machine that it is for, as Node names it: 'x64'. */
  readonly hostArch: string;
  readonly parts: readonly PackPart[];
}

export interface PackedEntry<M> extends Entry<M> {
  readonly ingredients: Ingredients;
}

export const packIngredients = ({ version, hostArch, parts }: PackManifest): Ingredients => ({
  ...{ version, hostArch, parts: parts.map(({ name }) => name) },
});

/** Those that are whole. */
export function importedPacks(cache: Cache): Entry<PackManifest>[] {
  const entries = entriesOf(cache.folder);
  const names = existsSync(entries) ? readdirSync(entries).filter((name) => name.startsWith(`${PACK_STEP}-`)) : [];
  return names.sort().flatMap((name) => {
    const manifest = readManifest<PackManifest>(path.join(entries, name))?.manifest;
    const entry = manifest && cache.find<PackManifest>(PACK_STEP, packIngredients(manifest));
    return entry === undefined ? [] : [entry];
  });
}

/** The entry of a step in a pack, if it was made from these ingredients, among others. */
export function partOf<M extends Described>(
  { folder, manifest: { parts } }: Entry<PackManifest>,
  step: string,
  ingredients: Ingredients,
): PackedEntry<M> | undefined {
  const part = parts.find(
    (each) =>
      each.step === step &&
      Object.entries(ingredients).every(
        ([name, value]) => cacheKey({ value }) === cacheKey({ value: each.ingredients[name] }),
      ),
  );
  return part && { folder: path.join(folder, part.name), ingredients: part.ingredients, manifest: part.manifest as M };
}
