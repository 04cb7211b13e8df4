/**
 * Step `guest-tools`: the agent and the guest programs, built from the repository's folder guest-tools, and keyed by
 * its contents and the compiler.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { inPackage } from '../../../emulator/folders';
import { type Described, type Entry } from '../cache/cache';
import { compilerVersion, crossCompilerKey, isForeign, requireCompiler } from './compiler';
import { type Context } from './context';
import { filesBelow } from '../basis/host-files';
import { findTool, missingTool, runTool } from '../basis/tools';

const RECIPE = 1;
const SOURCE = inPackage('guest-tools');
const ATTEMPTED = "building the guest's tools";

export interface GuestToolsManifest extends Described {
  readonly programs: readonly string[];
}

export type GuestToolsEntry = Entry<GuestToolsManifest>;
type Ingredients = Record<string, unknown>;

/** A digest of the names and contents of all source files. Kernel modules (guest-modules.ts) have their own. */
export function sourceDigest(folder: string): string {
  const digest = createHash('sha256');
  for (const file of filesBelow(folder, ['build', 'modules'])) {
    const data = readFileSync(path.join(folder, file));
    digest.update(`${file}\0${data.length}\0`).update(data);
  }
  return digest.digest('hex');
}

const ingredientsAnywhere = ({ guestArch }: Context): Ingredients => ({
  ...{ recipe: RECIPE, guestArch, source: sourceDigest(SOURCE) },
});

/** @throws ProvisionError if there is no compiler */
async function ingredientsHere(context: Context): Promise<Ingredients> {
  return {
    ...ingredientsAnywhere(context),
    compiler: isForeign(context)
      ? await crossCompilerKey(context)
      : await compilerVersion(context, ownCompiler(context)),
  };
}

/** The user's compiler, as in make's CC. */
export function ownCompiler(context: Context, attempted = ATTEMPTED): string {
  const compiler = context.env.CC ?? 'gcc';
  if (findTool(compiler) === undefined) throw missingTool(compiler, attempted);
  return compiler;
}

/** @throws ProvisionError if there is no compiler, and no pack has them */
export async function findGuestTools(context: Context): Promise<GuestToolsEntry | undefined> {
  return (
    context.packed<GuestToolsManifest>('guest-tools', ingredientsAnywhere(context)) ??
    context.cache.find<GuestToolsManifest>('guest-tools', await ingredientsHere(context))
  );
}

export async function buildGuestTools(context: Context): Promise<GuestToolsEntry> {
  const ingredients = await ingredientsHere(context);
  const progress = context.progress('guest-tools');
  const entry = await context.cache.publish<GuestToolsManifest>('guest-tools', ingredients, async (folder) => {
    const compiler = isForeign(context) ? (await requireCompiler(context)).command : ownCompiler(context);
    await progress.during('compiling', () =>
      runTool('make', ['-s', '-C', SOURCE, `OUT=${folder}`, `CC=${compiler}`], {
        attempted: ATTEMPTED,
        cure: 'apt-get install build-essential, if the compiler or the static C library (libc.a) is missing',
        signal: context.signal,
      }),
    );
    rmSync(path.join(folder, 'obj'), { recursive: true, force: true });
    const bin = path.join(folder, 'bin');
    const programs = existsSync(bin) ? readdirSync(bin).sort() : [];
    return { description: `agent and ${programs.length} programs for the guest`, programs };
  });
  progress.finish(`agent and ${entry.manifest.programs.length} programs`);
  return entry;
}

/** Reads the agent and the programs of an entry. */
export function readGuestTools({ folder, manifest }: GuestToolsEntry): {
  agent: Buffer;
  programs: Map<string, Buffer>;
} {
  return {
    agent: readFileSync(path.join(folder, 'agent')),
    programs: new Map(manifest.programs.map((name) => [name, readFileSync(path.join(folder, 'bin', name))])),
  };
}
