/**
 * Loads a file of the user's: TypeScript or JavaScript, ES module or CommonJS. TypeScript is stripped of its types and not
 * checked (the editor and the user's tests do that); its JavaScript is kept in the cache. Only a file of TypeScript pays
 * for it.
 */
import { statfsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { cacheFolder, transpiledOf } from '../../emulator/folders';
import { makeFolder } from '../../emulator/native';

/** For a file whose top-level await does not settle. */
const LIMIT_MS = 60_000;

/** Its default export, or what a CommonJS module exports. */
export async function defaultExportOf(path: string): Promise<unknown> {
  const limit = new AbortController();
  const expiry = setTimeout(LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`the file has not been loaded after ${LIMIT_MS / 1000} s: what does its top-level await wait for?`);
  });
  try {
    const module = await Promise.race([load(path), expiry]);
    const exported = 'default' in module ? module.default : module;
    return isNamespace(exported) ? exported.default : exported;
  } finally {
    limit.abort();
    await expiry.catch(() => {});
  }
}

/** Of an ES module that was compiled to CommonJS. */
const isNamespace = (exported: unknown): exported is { default: unknown } =>
  typeof exported === 'object' && exported !== null && 'default' in exported;

async function load(path: string): Promise<{ default?: unknown }> {
  if (!/\.[cm]?ts$/.test(path)) return (await import(pathToFileURL(path).href)) as { default?: unknown };
  const { createJiti } = await import('jiti');
  return createJiti(path, { fsCache: keptIn(), sourceMaps: true, tsconfigPaths: true }).import(path);
}

/** With less room than this nothing is kept: to fail in the middle of a file would fail the command. */
const LEAST_FREE_BYTES = 1 << 20;

/** False where nothing can be kept, which costs time and nothing else. */
function keptIn(): string | false {
  try {
    const folder = transpiledOf(cacheFolder(process.env)!);
    makeFolder(folder, 0o700);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= LEAST_FREE_BYTES && folder;
  } catch {
    return false;
  }
}
