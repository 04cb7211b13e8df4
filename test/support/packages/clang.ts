/**
 * For the fuzzer only: Clang with libFuzzer and the sanitizers, of the host's suite, which has this release in both of
 * its versions that ghostcard runs on. It runs on the host's C library, and links with the host's linker and headers.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../../../qemu/provision/packages/apt-root';
import { hostFacts } from '../../../qemu/provision/basis/arch';
import { type Described, type Entry } from '../../../qemu/provision/cache/cache';
import { Context } from '../../../qemu/provision/steps/context';
import { withProvisioningLock } from '../../../qemu/provision/provision';
import { runTool } from '../../../qemu/provision/basis/tools';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

const RECIPE = 1;
const RELEASE = 19;
/** What build-essential brings, and what only C++, Objective-C and 32-bit programs need. */
const PROVIDED = [
  ...['libc6', 'libc6-dev', 'libgcc-s1', 'libstdc++6', 'binutils', 'libstdc++-12-dev', 'libstdc++-14-dev'],
  ...[
    'libgcc-12-dev',
    'libgcc-14-dev',
    'libobjc-12-dev',
    'libobjc-14-dev',
    'lib32gcc-s1',
    'lib32stdc++6',
    'libc6-i386',
  ],
  ...[`libclang1-${RELEASE}`, `llvm-${RELEASE}-linker-tools`],
].map((name) => `${name} (= 999)`);
const PACKAGES = [`clang-${RELEASE}`, `libclang-rt-${RELEASE}-dev`];
/** The runtime libraries that the fuzzer links: of one architecture, and one language. */
const USED_RUNTIMES = /^libclang_rt\.(asan|fuzzer|asan_static|ubsan_standalone|builtins)-x86_64\.(a|a\.syms)$/;

export interface Clang {
  readonly command: string;
  /** To be added to the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Such as 19.1.7. */
  readonly version: string;
}

interface Manifest extends Described {
  readonly version: string;
  readonly packages: Record<string, string>;
}

/** Fetches it when it is not in the cache. */
export async function provisionClang(options: ProvisionOptions = {}): Promise<Clang> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>('clang', ingredients(context));
  const entry = find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchClang(context))));
  return { ...commandOf(context, entry.folder), version: entry.manifest.version };
}

const ingredients = (context: Context): Record<string, unknown> => ({
  ...{ recipe: RECIPE, hostArch: context.hostArch, suite: context.suite().codename, packages: PACKAGES },
});

async function fetchClang(context: Context): Promise<Entry<Manifest>> {
  const progress = context.progress('clang');
  const apt = context.hostProgramsApt(PROVIDED);
  const entry = await context.cache.publish<Manifest>('clang', ingredients(context), async (folder) => {
    const files = await apt.download(PACKAGES, progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    rmSync(path.join(root, 'usr/share'), { recursive: true, force: true });
    const runtimes = path.join(root, `usr/lib/llvm-${RELEASE}/lib/clang/${RELEASE}/lib/linux`);
    for (const name of readdirSync(runtimes)) {
      if (!USED_RUNTIMES.test(name)) rmSync(path.join(runtimes, name), { recursive: true });
    }
    const { command, env } = commandOf(context, folder);
    const text = await runTool(command, ['--version'], {
      attempted: 'starting the compiler that was fetched',
      cure: 'if the host has been upgraded to another suite, remove the cache entry and run again',
      env,
      signal: context.signal,
    });
    const version = /version ([\d.]+)/.exec(text)?.[1] ?? 'unknown';
    const description = `Clang ${version} of ${context.suite().codename}, for the fuzzer`;
    return { description, version, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  progress.finish(entry.manifest.description);
  return entry;
}

function commandOf(context: Context, folder: string): Pick<Clang, 'command' | 'env'> {
  const root = path.join(folder, 'root');
  // Packages from before the merge of /lib and /usr/lib have libraries in the former.
  const libraries = ['usr/lib', 'lib'].map((lib) => path.join(root, lib, hostFacts(context.hostArch).triplet));
  return {
    command: path.join(root, `usr/lib/llvm-${RELEASE}/bin/clang`),
    env: { LD_LIBRARY_PATH: libraries.join(':') },
  };
}
