import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProvisionError } from '../basis/errors';
import { type ProvisionOptions } from '../basis/types';
import { type AptRoot } from '../packages/apt-root';
import { type Suite } from '../packages/suite';
import { cachedKernels } from './cached-kernels';
import { Context } from './context';
import { kernelIngredients, type KernelManifest } from './kernel-entry';
import { kernelSource } from './kernel-source';

let cacheDir: string;
beforeEach(() => {
  cacheDir = mkdtempSync(path.join(tmpdir(), 'ghostcard-kernel-source-'));
});
afterEach(() => rmSync(cacheDir, { recursive: true }));

const BOOKWORM: Suite = { codename: 'bookworm', compiler: 'gcc-12', kernel: '6.1' };

/** On a machine with bookworm, whatever this one has. */
function contextWith(options: ProvisionOptions, lists: Readonly<Record<string, string>> = {}): Context {
  const context = new Context({ cacheDir, env: {}, ...options });
  vi.spyOn(context, 'suite').mockReturnValue(BOOKWORM);
  vi.spyOn(context, 'kernelsApt').mockImplementation(({ codename }) => {
    const describe = (): Promise<string> =>
      codename in lists
        ? Promise.resolve(lists[codename]!)
        : Promise.reject(new ProvisionError({ attempted: 'fetching', seen: 'no network', cure: 'check it' }));
    return { codename, describe } as unknown as AptRoot;
  });
  return context;
}

const kernel = (abi: string, version: string): string =>
  ['headers', 'image', 'source']
    .map((what) => ({ what, name: what === 'source' ? /^\d+\.\d+/.exec(abi)![0] : `${abi}-cloud-amd64` }))
    .map(({ what, name }) => `Package: linux-${what}-${name}\nVersion: ${version}\nArchitecture: amd64\nSize: 1\n\n`)
    .join('');

const LISTS = {
  bookworm: kernel('6.1.0-50', '6.1.176-1') + kernel('6.12.95+deb12', '6.12.95-1~bpo12+1'),
  trixie: kernel('6.12.117+deb13', '6.12.117-1') + kernel('7.3.4+deb13', '7.3.4-1~bpo13+1'),
};

const sourceOf = (context: Context) => kernelSource(context, context.progress('kernel'));

describe('the kernel of a release', () => {
  test("is taken from the host's suite and its backports before others, whose lists are not fetched then", async () => {
    const context = contextWith({ kernelRelease: '6.12' }, { bookworm: LISTS.bookworm });
    const source = await sourceOf(context);
    expect(source).toMatchObject({ suite: BOOKWORM, origin: 'bookworm-backports' });
    expect(source.packages).toEqual([
      'linux-image-6.12.95+deb12-cloud-amd64:amd64=6.12.95-1~bpo12+1',
      'linux-headers-6.12.95+deb12-cloud-amd64:amd64=6.12.95-1~bpo12+1',
      'linux-source-6.12=6.12.95-1~bpo12+1',
    ]);
  });

  test('is taken from another suite if only that has it, with its compiler', async () => {
    const source = await sourceOf(contextWith({ kernelRelease: '7.3' }, LISTS));
    expect(source).toMatchObject({ suite: { codename: 'trixie', compiler: 'gcc-14' }, origin: 'trixie-backports' });
  });

  test("that is the host's own has the key of the kernel without the option", () => {
    const keyOf = (options: ProvisionOptions) => kernelIngredients(contextWith(options));
    expect(keyOf({ kernelRelease: '6.1' })).toEqual(keyOf({}));
    expect(keyOf({ kernelRelease: '6.12' })).not.toEqual(keyOf({}));
    expect(keyOf({ env: { GHOSTCARD_KERNEL_RELEASE: '6.12' } })).toEqual(keyOf({ kernelRelease: '6.12' }));
  });

  test('that no suite has is refused, and the error names those that there are', async () => {
    await expect(sourceOf(contextWith({ kernelRelease: '5.10' }, LISTS))).rejects.toThrow(
      /looking for a cloud kernel 5\.10 for amd64 guests: bookworm, bookworm-backports, trixie, trixie-backports have none .*\nWhat to do: .* --kernel-release 6\.1, 6\.12 or 7\.3$/,
    );
  });

  test('that is not two numbers is refused', () => {
    expect(() => contextWith({ kernelRelease: '6.12.95' })).toThrow(/it is "6\.12\.95"\nWhat to do: .* such as 6\.12/);
  });

  test('that cannot be looked up without a network is refused, and the error names those in the cache', async () => {
    await expect(sourceOf(contextWith({ kernelRelease: '6.12' }))).rejects.toThrow(
      /no network\nWhat to do: check it; kernels that are in the cache need no network: there are none/,
    );
    await cached({ kernelRelease: '6.12' }, '6.12.95+deb12-cloud-amd64');
    await expect(sourceOf(contextWith({ kernelRelease: '7.3' }))).rejects.toThrow(/need no network: 6\.12$/);
  });
});

/** Puts a kernel into the cache, as far as its manifest goes. */
async function cached(options: ProvisionOptions, release: string): Promise<void> {
  const context = new Context({ cacheDir, env: {}, ...options });
  const manifest: KernelManifest = { description: '', release, packages: {} };
  (await context.cache.publish('kernel', kernelIngredients(context), () => Promise.resolve(manifest))).release();
}

test('kernels in the cache are those that a guest would run now', async () => {
  await cached({ kernelRelease: '6.12' }, '6.12.95+deb12-cloud-amd64');
  await cached({ kernelRelease: '7.3', kernel: 'generic', guestArch: 'arm64' }, '7.3.4+deb13-arm64');
  // By a key of an earlier version of ghostcard.
  const context = new Context({ cacheDir, env: {} });
  const old: KernelManifest = { description: '', release: '6.1.0-50-cloud-amd64', packages: {} };
  (await context.cache.publish('kernel', { recipe: 0 }, () => Promise.resolve(old))).release();
  const kernels = cachedKernels(context).map(({ series, flavour, arch }) => `${series} ${flavour} ${arch}`);
  expect(kernels.sort()).toEqual(['6.12 cloud amd64', '7.3 generic arm64']);
});
