/**
 * Module files on the host: collects those for the image, uncompressed, in one folder, and describes a folder of all
 * modules, as /lib/modules/RELEASE is.
 *
 * Source: modules.dep(5), depmod(8).
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execaSync } from 'execa';
import {
  describeModule,
  type ImageModule,
  type KernelModule,
  loadOrder,
  moduleName,
  parseModulesDep,
} from '../../guest-image';
import { ProvisionError } from '../basis/errors';
import { findModules } from './kernel-modules';
import { findTool, missingTool, runTool } from '../basis/tools';

/** Paths are about 150 bytes long, and the kernel takes 128 KiB of arguments at least. */
const FILES_AT_ONCE = 500;
const COMPRESSED = /\.(xz|gz|zst)$/;

export interface ModuleTools {
  /** A program that decompresses .xz from standard input to standard output, if not the one on PATH. */
  readonly xz?: string;
}

/** The modules in `wanted` with all their dependencies, from `files`. If a name occurs twice, the later file counts. */
export function collectModules(
  wanted: readonly string[],
  files: readonly string[],
  tools: ModuleTools = {},
): ImageModule[] {
  const byName = new Map(files.map((file) => [moduleName(path.basename(file)), file]));
  const read = new Map<string, ImageModule>();
  const find = (name: string): KernelModule | undefined => {
    const file = byName.get(name);
    if (file === undefined) return undefined;
    const data = decompress(file, tools);
    const module = { ...describeModule(path.basename(file).replace(COMPRESSED, ''), data), data };
    read.set(name, module);
    return module;
  };
  return loadOrder(wanted, find).flatMap(({ name }) => read.get(name) ?? []);
}

/** Replaces files that are compressed with xz by uncompressed ones. */
export async function decompressAll(
  files: readonly string[],
  { xz = 'xz', signal }: ModuleTools & { signal: AbortSignal | undefined },
): Promise<void> {
  const compressed = files.filter((file) => file.endsWith('.xz'));
  for (let at = 0; at < compressed.length; at += FILES_AT_ONCE) {
    const some = compressed.slice(at, at + FILES_AT_ONCE);
    await runTool(xz, ['-d', ...some], { attempted: "decompressing the kernel's modules", signal });
  }
}

/**
 * All modules of a folder; file names are relative to it. If depmod has been run there, by its list; otherwise each file
 * is read. Names that other modules or the kernel may ask for are only known of files that are read, or of depmod's list.
 */
export function describeModules(folder: string): KernelModule[] {
  const list = path.join(folder, 'modules.dep');
  if (existsSync(list))
    return parseModulesDep(readFileSync(list, 'utf8'), readIfThere(path.join(folder, 'modules.alias')));
  return findModules(folder).map((file) => describeModule(path.relative(folder, file), decompress(file, {})));
}

/** The names of modules that are built into the kernel, as files of their folder would be called. */
export const builtInModules = (folder: string): string[] =>
  readIfThere(path.join(folder, 'modules.builtin')).split('\n').filter(Boolean);

const readIfThere = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

function decompress(file: string, tools: ModuleTools): Buffer {
  const bytes = readFileSync(file);
  if (file.endsWith('.gz')) return gunzipSync(bytes);
  if (file.endsWith('.xz')) return filter(tools.xz ?? 'xz', file, bytes);
  if (file.endsWith('.zst')) return filter('zstd', file, bytes);
  return bytes;
}

function filter(command: string, file: string, input: Buffer): Buffer {
  const attempted = `decompressing ${file}`;
  const program = findTool(command);
  if (program === undefined) throw missingTool(path.basename(command), attempted);
  const result = execaSync(program, ['-dc'], { input, encoding: 'buffer', maxBuffer: 1 << 30, reject: false });
  if (!result.failed) return Buffer.from(result.stdout);
  throw new ProvisionError({
    attempted,
    seen: `${command} exited with code ${result.exitCode}: ${Buffer.from(result.stderr).toString()}`,
    cure: 'the file is damaged: remove the cache folder, or provide other modules',
  });
}
