import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_SOCKET_PATH_BYTES, RunFolder } from './run-folder';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'folder-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(base, { recursive: true, force: true });
});

describe('run folder', () => {
  it('where none can be made is refused at once, with the reason and what to do', async () => {
    await expect(RunFolder.create({ baseDir: '/proc/nope' })).rejects.toThrow(
      "Cannot create run folders in /proc/nope: ENOENT: no such file or directory, mkdir '/proc/nope'. Set TMPDIR to",
    );
  });

  it('is refused when TMPDIR does not exist, which is not made', async () => {
    vi.stubEnv('TMPDIR', join(base, 'missing'));
    await expect(RunFolder.create()).rejects.toThrow(`TMPDIR is ${base}/missing, and there is no such folder`);
    expect(existsSync(join(base, 'missing'))).toBe(false);
  });

  it.each([
    [
      'full',
      'dd if=/dev/zero of="$1/fill" status=none || true',
      'the disk is full (0 bytes are free, a run needs 1 MiB)',
    ],
    ['read-only', 'mkdir -m 700 "$1/base" && mount -o remount,ro "$1"', 'EROFS: read-only file system, access'],
  ])('is refused on a disk that is %s, with the folder and what to do', async (_, prepare, why) => {
    const script = `mount -t tmpfs -o size=2m none "$1" && { ${prepare}; } && exec "$2" -e "$3" "$1/base"`;
    const create = `
      require(${JSON.stringify(join(__dirname, '..', '..', 'dist', 'qemu', 'launch', 'run-folder.js'))})
        .RunFolder.create({ baseDir: process.argv[1] }).then(() => process.exit(9), (error) => console.log(error.message));`;
    const { stdout } = await execa('unshare', [
      ...['--map-root-user', '--mount', 'sh', '-euc', script, 'sh', base, process.execPath, create],
    ]);
    expect(stdout).toContain(`Cannot create run folders in ${base}/base: ${why}`);
    expect(stdout).toContain('. Set TMPDIR to another folder.');
  });

  it('exists until it is closed, and can be closed twice', async () => {
    const folder = await RunFolder.create({ baseDir: base });
    await writeFile(join(folder.path, 'a.log'), 'text');
    await Promise.all([folder.close(), folder.close()]);
    expect(existsSync(folder.path)).toBe(false);
  });

  it('is removed when it is disposed', async () => {
    let path: string;
    {
      await using folder = await RunFolder.create({ baseDir: base });
      path = folder.path;
      expect(existsSync(path)).toBe(true);
    }
    expect(existsSync(path)).toBe(false);
  });

  it('is removed by its owner if its keeper was killed', async () => {
    const folder = await RunFolder.create({ baseDir: base });
    (folder as unknown as { keeper: { kill(signal: string): void } }).keeper.kill('SIGKILL');
    await folder.close();
    expect(existsSync(folder.path)).toBe(false);
  });

  it('of a concurrent run is not pruned by another run', async () => {
    const folders = await Promise.all(Array.from({ length: 6 }, () => RunFolder.create({ baseDir: base })));
    expect(folders.map(({ path }) => existsSync(path))).toEqual(Array(6).fill(true));
    await Promise.all(folders.map((folder) => folder.close()));
  });

  it('of a run that was killed along with its keeper is removed by the next run', async () => {
    await mkdir(join(base, 'run-dead', 'sub'), { recursive: true });
    await using folder = await RunFolder.create({ baseDir: base });
    expect(existsSync(join(base, 'run-dead'))).toBe(false);
    expect(existsSync(folder.path)).toBe(true);
  });

  it('is below TMPDIR, in a folder for this user only', async () => {
    vi.stubEnv('TMPDIR', base);
    await using folder = await RunFolder.create();
    const parent = join(base, `ghostcard-${process.getuid!()}`);
    expect(folder.path.startsWith(`${parent}/run-`)).toBe(true);
    expect(statSync(parent).mode & 0o777).toBe(0o700);
  });

  it('is below /tmp when TMPDIR is too long for socket paths', async () => {
    const long = join(base, 'x'.repeat(80));
    await mkdir(long);
    vi.stubEnv('TMPDIR', long);
    await using folder = await RunFolder.create();
    expect(folder.path).toMatch(/^\/tmp\/ghostcard-\d+\/run-[0-9a-f]{8}$/);
  });

  it('is refused where socket paths would be too long, and the error has the limit', async () => {
    const baseDir = join(base, 'x'.repeat(80));
    await expect(RunFolder.create({ baseDir })).rejects.toThrow(
      /^The path \S+ has \d+ bytes; the limit is 74\. Set TMPDIR to a shorter path\.$/,
    );
  });

  it('is refused in a folder that another user can write to', async () => {
    await mkdir(join(base, 'elsewhere'));
    await symlink(join(base, 'elsewhere'), join(base, 'link'));
    await expect(RunFolder.create({ baseDir: join(base, 'link') })).rejects.toThrow(
      /^Cannot create run folders in \S+link: it must be a folder that belongs to this user/,
    );
    await mkdir(join(base, 'open'));
    await chmod(join(base, 'open'), 0o777);
    await expect(RunFolder.create({ baseDir: join(base, 'open') })).rejects.toThrow(/that no one else can write to/);
  });

  it('refuses a socket name that is too long', async () => {
    await using folder = await RunFolder.create({ baseDir: base });
    expect(Buffer.byteLength(folder.socketPath('x'.repeat(32)))).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES);
    expect(() => folder.socketPath('x'.repeat(100))).toThrow(/the limit is 107\. Use a shorter name\.$/);
  });
});
