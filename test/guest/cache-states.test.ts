/** Runs with a cache that is read-only, or on a full disk: what can be done is done, what cannot is said. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { filesBelow } from '../../qemu/provision/basis/host-files';
import { leftovers, survivors } from '../support/remains';

const CLI = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
const LIBRARY = join(__dirname, '..', '..', 'dist', 'emulator', 'index.js');

let folder: string;
let card: string;
let busybox: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-cache-'));
  // A card that has never been compiled, and a part that no guest's image in the cache was made from.
  card = join(folder, 'card.ts');
  writeFileSync(
    card,
    `import { PciCard } from ${JSON.stringify(LIBRARY)};
    export default class Fresh extends PciCard {
      constructor(environment: object) { super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000 }, environment); }
    }`,
  );
  const { cacheDir } = inject('provisioned').amd64;
  const entry = readdirSync(join(cacheDir, 'entries')).find((name) => name.startsWith('busybox-'))!;
  const program = filesBelow(join(cacheDir, 'entries', entry)).find((name) => name.endsWith('busybox'))!;
  busybox = join(folder, 'busybox');
  copyFileSync(join(cacheDir, 'entries', entry, program), busybox);
  writeFileSync(busybox, `${process.pid}`, { flag: 'a' });
  // There is a snapshot of the guest after this.
  expect(ghostcard('true', run()).stdout).toBe('it runs\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const READ_ONLY = 'mount --bind "$CACHE" "$CACHE" && mount -o remount,bind,ro "$CACHE"';
/** Changes go to a file system of 1 MiB that is full. */
const FULL = `
  mount -t tmpfs -o size=1M tmpfs "$DISK" && mkdir "$DISK/upper" "$DISK/work" &&
  mount -t overlay -o lowerdir="$CACHE",upperdir="$DISK/upper",workdir="$DISK/work" overlay "$CACHE" || exit 1
  dd if=/dev/zero of="$DISK/filler" bs=1k 2>/dev/null`;

/** In a mount namespace, which ends with the command. */
function ghostcard(mounts: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { cacheDir } = inject('provisioned').amd64;
  const disk = mkdtempSync(join(folder, 'disk-'));
  const temporary = join(disk, '..', 'tmp');
  mkdirSync(temporary, { recursive: true });
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const script = `${mounts}\nexec "$@"`;
  const command = ['--mount', ...rights, 'sh', '-c', script, 'sh', process.execPath, CLI, ...args];
  const { stdout, stderr, status } = spawnSync('unshare', command, {
    encoding: 'utf8',
    env: { ...process.env, GHOSTCARD_CACHE: cacheDir, CACHE: cacheDir, DISK: disk, TMPDIR: temporary, ...env },
  });
  expect([...survivors(temporary), ...leftovers(temporary)]).toEqual([]);
  return { stdout, stderr, status };
}

const run = (...options: string[]) => ['run', '--minimal', ...options, '--', 'echo', 'it runs'];

describe.each([
  ['that is read-only', READ_ONLY],
  ['on a full disk', FULL],
])('with a cache %s', (_, mounts) => {
  it('a run does without what it would have kept, from a snapshot', () => {
    const { stdout, stderr, status } = ghostcard(mounts, run('--card', card));
    expect({ stdout, status }, stderr).toEqual({ stdout: 'it runs\n', status: 0 });
    expect(stderr).toContain('Restoring the guest from its snapshot');
  });

  // QEMU reports a full disk as an error of input and output, depending on what it was writing.
  it('a run boots a guest without saving it, and says why', () => {
    const { stdout, stderr, status } = ghostcard(mounts, run('--card', card, '--append', `cache=${process.pid}`));
    expect({ stdout, status }, stderr).toEqual({ stdout: 'it runs\n', status: 0 });
    expect(stderr).toMatch(/No snapshot was saved, .*(?:read-only file system|no space left|input\/output error)/i);
  });

  it('what has to be made cannot be: the error has the cause and what to do', () => {
    const { stderr, status } = ghostcard(mounts, ['provision'], { GHOSTCARD_BUSYBOX: busybox });
    expect(status, stderr).toBe(125);
    expect(stderr).toMatch(
      /failed while writing to the cache \S+: (?:EROFS: .*\nWhat to do: make it writable, or|ENOSPC: .*\nWhat to do: make room)/,
    );
    expect(stderr).not.toMatch(/^ +at /m);
  });
});
