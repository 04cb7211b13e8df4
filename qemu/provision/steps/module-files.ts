/** Collects module files for the image: the requested ones with all their dependencies, uncompressed, in one folder. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execaSync } from 'execa';
import { describeModule, type ImageModule, type KernelModule, loadOrder, moduleName } from '../../guest-image';
import { ProvisionError } from '../basis/errors';
import { findTool, missingTool } from '../basis/tools';

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
    const module = { ...describeModule(path.basename(file).replace(/\.(xz|gz|zst)$/, ''), data), data };
    read.set(name, module);
    return module;
  };
  return loadOrder(wanted, find).flatMap(({ name }) => read.get(name) ?? []);
}

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
