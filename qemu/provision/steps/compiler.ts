/**
 * Step `compiler`: the compiler for the guest's programs. For a guest of the host's architecture, it is the host's
 * compiler; for another one, a cross compiler: the host's if it has one, else that of the host's suite, unpacked in the
 * cache. Debian's compilers find their parts relative to themselves. They only need their shared libraries, for which a
 * small script in front of each program sets the path.
 *
 * Source: GCC's manual, "Directory Options" and "Environment Variables"; ld.so(8).
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../packages/apt-root';
import { guestFacts, hostFacts } from '../basis/arch';
import { type Described, type Entry } from '../cache/cache';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';
import { findTool, missingTool, runTool } from '../basis/tools';

const RECIPE = 1;
const ATTEMPTED = 'looking for a compiler for the guest';

export interface Compiler {
  /** The compiler: a name on PATH, or a path. */
  readonly command: string;
  /** Prefix of the names of its tools (`CROSS_COMPILE`); empty for the host's compiler. */
  readonly prefix: string;
  /** Its origin, for people. */
  readonly origin: string;
}

interface Manifest extends Described {
  readonly packages: Record<string, string>;
}

/** Whether guest and host have different architectures. */
export const isForeign = ({ hostArch, guestArch }: Context): boolean => hostArch !== guestArch;

/** The compiler for the guest, if it exists without fetching anything. */
export async function findCompiler(context: Context): Promise<Compiler | undefined> {
  if (!isForeign(context)) return ownCompiler(context);
  const onMachine = await hostCrossCompiler(context);
  if (onMachine !== undefined) return onMachine;
  const entry = context.cache.find<Manifest>('compiler', ingredients(context));
  return entry && fetchedCompiler(context, entry);
}

/**
 * The compiler for the guest. Call it with the provisioning lock held, since it may be fetched. @throws ProvisionError
 */
export async function requireCompiler(context: Context): Promise<Compiler> {
  return (await findCompiler(context)) ?? (await fetchCompiler(context));
}

/** Identifies a cross compiler in the keys of what it builds; it need not exist for that. */
export async function crossCompilerKey(context: Context): Promise<unknown> {
  const compiler = await hostCrossCompiler(context);
  return compiler === undefined ? ingredients(context) : await compilerVersion(context, compiler.command);
}

export async function compilerVersion(context: Context, command: string): Promise<string> {
  const text = await runTool(command, ['--version'], { attempted: ATTEMPTED, signal: context.signal });
  return text.split('\n')[0]!;
}

/** The compiler for kernel modules: the suite's, which built the kernel, if it exists. */
export function ownCompiler(context: Context): Compiler {
  const command = [context.suite().compiler, 'gcc'].find((name) => findTool(name) !== undefined);
  if (command === undefined) throw missingTool('gcc', ATTEMPTED);
  return { command, prefix: '', origin: 'on this machine' };
}

/** The host's cross compiler, preferably of the suite's version, if it has a static C library. */
async function hostCrossCompiler(context: Context): Promise<Compiler | undefined> {
  const prefix = guestFacts(context.guestArch).compilerPrefix;
  const names = [context.suite().compiler, 'gcc'].map((name) => prefix + name);
  for (const command of names.filter((name) => findTool(name) !== undefined && findTool(`${prefix}ld`) !== undefined)) {
    const libc = await runTool(command, ['-print-file-name=libc.a'], { attempted: ATTEMPTED, signal: context.signal });
    // gcc prints the bare name if there is none.
    if (path.isAbsolute(libc.trim())) return { command, prefix, origin: `on this machine: ${findTool(command)}` };
  }
  return undefined;
}

function packages(context: Context): string[] {
  const { guestArch } = context;
  const { compiler } = context.suite();
  return [`${compiler}-${guestFacts(guestArch).compilerMachine}`, `libc6-dev-${guestArch}-cross`];
}

function ingredients(context: Context): Record<string, unknown> {
  const { hostArch } = context;
  return { recipe: RECIPE, hostArch, suite: context.suite().codename, packages: packages(context) };
}

async function fetchCompiler(context: Context): Promise<Compiler> {
  const progress = context.progress('compiler');
  const apt = context.hostSuiteApt();
  const entry = await context.cache.publish<Manifest>('compiler', ingredients(context), async (folder) => {
    const files = await apt.download(packages(context), progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    removeUnused(root, context);
    writeWrappers(folder, context);
    const { command } = wrapped(context, folder);
    const version = await runTool(command, ['-dumpfullversion'], {
      attempted: 'starting the fetched cross compiler',
      cure: `apt-get install crossbuild-essential-${context.guestArch}: a cross compiler on PATH is used instead`,
      signal: context.signal,
    });
    const description = `cross compiler for ${context.guestArch}, gcc ${version.trim()} of ${context.suite().codename}`;
    return { description, packages: versionsOf(files) };
  });
  progress.finish(entry.manifest.description);
  return fetchedCompiler(context, entry);
}

const fetchedCompiler = (context: Context, { folder }: Entry<Manifest>): Compiler => ({
  ...wrapped(context, folder),
  origin: `Debian ${context.suite().codename}`,
});

function wrapped(context: Context, folder: string): { command: string; prefix: string } {
  const prefix = path.join(folder, 'bin', guestFacts(context.guestArch).compilerPrefix);
  return { command: `${prefix}gcc`, prefix };
}

/** Programs that are not needed for building C. */
const UNUSED_PROGRAMS = /(lto-dump|gcov\S*|dwp|gprof\S*|ld\.gold|c\+\+filt|elfedit|addr2line)(-\d+)?$/;
const UNUSED_PARTS = /^(lto1|lto-wrapper|plugin|g\+\+-mapper-server|lib[altu]san\S*|libhwasan\S*)$/;

function removeUnused(root: string, context: Context): void {
  const drop = (folder: string, unused: RegExp): void => {
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder).filter((each) => unused.test(each))) {
      rmSync(path.join(folder, name), { recursive: true });
    }
  };
  drop(path.join(root, 'usr/share'), /./);
  drop(path.join(root, 'usr/bin'), UNUSED_PROGRAMS);
  for (const place of ['usr/lib/gcc-cross', 'usr/libexec/gcc-cross']) {
    const parts = path.join(root, place, compilerMachine(context));
    for (const version of existsSync(parts) ? readdirSync(parts) : []) drop(path.join(parts, version), UNUSED_PARTS);
  }
}

const compilerMachine = ({ guestArch }: Context): string => hostFacts(guestArch).triplet;

/** One script for each program, named without the version. */
function writeWrappers(folder: string, context: Context): void {
  const bin = path.join(folder, 'bin');
  const programs = path.join(folder, 'root/usr/bin');
  mkdirSync(bin);
  const names = existsSync(programs) ? readdirSync(programs) : [];
  for (const program of names) {
    const script = [
      '#!/bin/sh',
      `# Runs ../root/usr/bin/${program} with its own libraries.`,
      'root=${0%/*}/../root/usr',
      `export LD_LIBRARY_PATH="$root/lib/${hostFacts(context.hostArch).triplet}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`,
      `exec "$root/bin/${program}" "$@"`,
      '',
    ].join('\n');
    const file = path.join(bin, program.replace(/-\d+$/, ''));
    writeFileSync(file, script);
    chmodSync(file, 0o755);
  }
  const compiler = `${guestFacts(context.guestArch).compilerPrefix}gcc`;
  if (existsSync(path.join(bin, compiler))) return;
  throw new ProvisionError({
    attempted: 'extracting the cross compiler from its packages',
    seen: `there is no ${compiler} among the programs: ${names.join(', ') || 'none'}`,
    cure: `apt-get install crossbuild-essential-${context.guestArch}: a cross compiler on PATH is used instead`,
  });
}
