/** A machine with Linux and Node, and nothing else: no apt, no compiler, no shell, no network. What it runs is in a pack. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { RunFolder } from '../../qemu/launch/run-folder';
import { terminalProgress } from '../../qemu/provision';
import { exportPack } from '../../qemu/provision/pack';
import { write } from './project';

const { installed } = inject('package');
const PROJECT = '/project';
const CLI = `${PROJECT}/node_modules/ghostcard/cli/ghostcard.js`;
const GUEST_TEST = `
import { ReferenceCard } from 'ghostcard/cards';
import { expect, test } from 'ghostcard/vitest';

test('a driver finds the card', async ({ guest }) => {
  await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
  expect(await guest.run(['gc-identify'])).toSucceed();
});
`;

let root: string;

/** Node with the libraries that it is linked with, and librt of the C library, which addons of others need. */
function copyNode(): void {
  const linked = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  const libraries = [...linked].map(([, path]) => path!);
  const libc = libraries.find((path) => path.includes('/libc.so'))!;
  for (const file of [process.execPath, ...libraries, join(dirname(libc), 'librt.so.1')]) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
}

/** Runs Node there, in namespaces of its own, which end with it. */
function node(args: readonly string[], env: Readonly<Record<string, string>> = {}): { text: string; exitCode: number } {
  const script = `
    mount --rbind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/tmp"
    mount --bind "$1" "$0${PROJECT}"
    root=$0; shift
    exec chroot "$root" "$@"`;
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const namespaces = ['--mount', '--pid', '--net', '--fork', '--kill-child', ...rights];
  const command = ['sh', '-ec', script, root, installed, process.execPath, ...args];
  const { stdout, stderr, status } = spawnSync('unshare', [...namespaces, ...command], {
    ...{ encoding: 'utf8', cwd: '/', env: { HOME: '/home', GHOSTCARD_CACHE: '/cache', TMPDIR: '/tmp', ...env } },
  });
  return { text: stdout + stderr, exitCode: status ?? -1 };
}

const ghostcard = (...args: string[]): ReturnType<typeof node> => node([CLI, ...args]);

beforeAll(async () => {
  const folder = await RunFolder.create();
  root = join(folder.path, 'root');
  for (const name of ['dev', 'proc', 'tmp', 'etc', 'home', PROJECT]) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'etc/os-release'), 'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n');
  copyNode();
  await exportPack(join(root, 'pack.tar.zst'), { onProgress: terminalProgress() });
  return () => folder.close();
}, 900_000);

describe('without a pack', () => {
  it.each([['doctor'], ['run', '--card', 'reference', '--driver', 'vfio-pci', '--', 'true'], ['provision']])(
    'ghostcard %s says what to do, the best first',
    (...args) => {
      const { text, exitCode } = ghostcard(...args);
      expect(text).toMatch(
        /Fedora Linux 43.*Debian bookworm and trixie\nWhat to do: .*provision --export pack.*Containerfile.*--qemu FILE/s,
      );
      expect(exitCode).not.toBe(0);
    },
  );
});

describe('with a pack', () => {
  beforeAll(() => {
    const { text, exitCode } = ghostcard('provision', '--import', '/pack.tar.zst');
    expect(text).toContain('pack for amd64 guests');
    expect(exitCode, text).toBe(0);
  });

  it('doctor finds nothing missing', () => {
    const { text, exitCode } = ghostcard('doctor');
    expect(text).toMatch(/host {3}\w+, Fedora Linux 43,/);
    expect(text).toContain('with the imported pack for amd64 guests');
    expect(exitCode, text).toBe(0);
  });

  it('runs a driver, with the checks that a plugin of QEMU makes', () => {
    const { text, exitCode } = ghostcard(
      'run',
      '--card',
      'reference',
      '--driver',
      'vfio-pci',
      '--check',
      'dma',
      '--',
      'gc-crc',
    );
    expect(text).toContain('gc-crc: passed');
    expect(exitCode, text).toBe(0);
  });

  it('runs a test in a guest, also when the cache has been moved', () => {
    write(join(installed, 'without-apt'), { 'guest.test.mjs': GUEST_TEST });
    const [file, cache] = ['without-apt/guest.test.mjs', '/moved'];
    execFileSync('mv', [join(root, 'cache'), join(root, cache)]);
    const vitest = [`${PROJECT}/node_modules/vitest/vitest.mjs`, 'run', '--root', PROJECT, file];
    const { text, exitCode } = node(vitest, { GHOSTCARD_CACHE: cache });
    execFileSync('mv', [join(root, cache), join(root, 'cache')]);
    expect(text).toMatch(/Tests .*1 passed/);
    expect(exitCode, text).toBe(0);
  });
});
