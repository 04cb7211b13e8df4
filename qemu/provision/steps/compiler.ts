/**
 * Step `compiler`: the compiler for the guest's programs. For a guest of the host's architecture, it is the host's
 * compiler; for another one, a cross compiler: the host's if it has one, else that of the host's suite, unpacked in the
 * cache. Debian's compilers find their parts relative to themselves. They only need their shared libraries, for which a
 * small script in front of each program sets the path. For the modules of a kernel of another suite, it is that suite's
 * compiler, with all its libraries (own-libraries.ts).
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
import { type Suite } from '../packages/suite';
import { findTool, missingTool, runTool } from '../basis/tools';
import { PROGRAM_FOLDERS, useOwnLibraries } from './own-libraries';

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

/** Whether a suite's programs need other libraries than the host's. */
export const isOtherSuite = (context: Context, { codename }: Suite): boolean => codename !== context.suite().codename;

/** Whether the compiler is not one of the host's own: for another architecture, or another suite. */
export const needsFetching = (context: Context, suite = context.suite()): boolean =>
  isForeign(context) || isOtherSuite(context, suite);

/** The compiler of a suite, by default the host's, for the guest, if it exists without fetching anything. */
export async function findCompiler(context: Context, suite = context.suite()): Promise<Compiler | undefined> {
  if (!needsFetching(context, suite)) return ownCompiler(context);
  const onMachine = isOtherSuite(context, suite) ? undefined : await hostCrossCompiler(context);
  if (onMachine !== undefined) return onMachine;
  const entry = context.cache.find<Manifest>('compiler', ingredients(context, suite));
  return entry && fetchedCompiler(context, suite, entry);
}

/**
 * The compiler for the guest. Call it with the provisioning lock held, since it may be fetched. @throws ProvisionError
 */
export async function requireCompiler(context: Context, suite = context.suite()): Promise<Compiler> {
  return (await findCompiler(context, suite)) ?? (await fetchCompiler(context, suite));
}

/** Identifies a cross compiler in the keys of what it builds; it need not exist for that. */
export async function crossCompilerKey(context: Context): Promise<unknown> {
  const compiler = await hostCrossCompiler(context);
  return compiler === undefined
    ? ingredients(context, context.suite())
    : await compilerVersion(context, compiler.command);
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

/** That of another suite compiles only modules, which need no C library. */
function packages(context: Context, suite: Suite): string[] {
  const { guestArch } = context;
  const compiler = `${suite.compiler}-${guestFacts(guestArch).compilerMachine}`;
  if (!isOtherSuite(context, suite)) return [compiler, `libc6-dev-${guestArch}-cross`];
  return isForeign(context) ? [compiler] : [suite.compiler];
}

function ingredients(context: Context, suite: Suite): Record<string, unknown> {
  const { hostArch } = context;
  return { recipe: RECIPE, hostArch, suite: suite.codename, packages: packages(context, suite) };
}

async function fetchCompiler(context: Context, suite: Suite): Promise<Compiler> {
  const progress = context.progress('compiler');
  const isOther = isOtherSuite(context, suite);
  const apt = isOther ? context.foreignCompilerApt(suite) : context.hostSuiteApt();
  const entry = await context.cache.publish<Manifest>('compiler', ingredients(context, suite), async (folder) => {
    const files = await apt.download(packages(context, suite), progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    removeUnused(root, context);
    if (isOther) useOwnLibraries(root, PROGRAM_FOLDERS, context.hostArch);
    writeWrappers(folder, context, isOther);
    const { command } = wrapped(context, folder);
    const version = await runTool(command, ['-dumpfullversion'], {
      attempted: 'starting the fetched compiler',
      cure: compilerCure(context, isOther),
      signal: context.signal,
    });
    const description = `compiler for ${context.guestArch}, gcc ${version.trim()} of ${suite.codename}`;
    return { description, packages: versionsOf(files) };
  });
  if (isOther) apt.removeDownloads();
  progress.finish(entry.manifest.description);
  return fetchedCompiler(context, suite, entry);
}

const compilerCure = ({ guestArch }: Context, isOtherSuite: boolean): string =>
  isOtherSuite
    ? "use a kernel of this machine's own suite, or one of its backports: 'ghostcard kernels' lists them"
    : `apt-get install crossbuild-essential-${guestArch}: a cross compiler on PATH is used instead`;

const fetchedCompiler = (context: Context, suite: Suite, { folder }: Entry<Manifest>): Compiler => ({
  ...wrapped(context, folder),
  origin: `Debian ${suite.codename}`,
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
  for (const place of ['usr/lib/gcc-cross', 'usr/libexec/gcc-cross', 'usr/lib/gcc', 'usr/libexec/gcc']) {
    const parts = path.join(root, place, compilerMachine(context));
    for (const version of existsSync(parts) ? readdirSync(parts) : []) drop(path.join(parts, version), UNUSED_PARTS);
  }
}

const compilerMachine = ({ guestArch }: Context): string => hostFacts(guestArch).triplet;

/**
 * One script for each program, named without the version. The compiler is told where the assembler and the linker are:
 * a native one would take the host's.
 */
function writeWrappers(folder: string, context: Context, hasOwnLibraries: boolean): void {
  const bin = path.join(folder, 'bin');
  const programs = path.join(folder, 'root/usr/bin');
  mkdirSync(bin);
  const prefix = guestFacts(context.guestArch).compilerPrefix;
  const names = existsSync(programs) ? readdirSync(programs).filter((name) => name.startsWith(prefix)) : [];
  for (const program of names) {
    const isCompiler = hasOwnLibraries && /gcc-\d+$/.test(program);
    const script = [
      '#!/bin/sh',
      `# Runs ../root/usr/bin/${program} with its own libraries.`,
      'root=${0%/*}/../root/usr',
      ...(hasOwnLibraries
        ? []
        : [
            `export LD_LIBRARY_PATH="$root/lib/${hostFacts(context.hostArch).triplet}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`,
          ]),
      `exec "$root/bin/${program}" ${isCompiler ? `-B "\${0%/*}/${prefix}" ` : ''}"$@"`,
      '',
    ].join('\n');
    const file = path.join(bin, program.replace(/-\d+$/, ''));
    writeFileSync(file, script);
    chmodSync(file, 0o755);
  }
  const compiler = `${prefix}gcc`;
  if (existsSync(path.join(bin, compiler))) return;
  throw new ProvisionError({
    attempted: 'extracting the cross compiler from its packages',
    seen: `there is no ${compiler} among the programs: ${names.join(', ') || 'none'}`,
    cure: compilerCure(context, hasOwnLibraries),
  });
}
