import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  it('is there until it is closed, also when it is closed twice', async () => {
    const folder = await RunFolder.create({ baseDir: base });
    await writeFile(join(folder.path, 'a.log'), 'text');
    await Promise.all([folder.close(), folder.close()]);
    expect(existsSync(folder.path)).toBe(false);
  });

  it('goes when it is disposed of', async () => {
    let path: string;
    {
      await using folder = await RunFolder.create({ baseDir: base });
      path = folder.path;
      expect(existsSync(path)).toBe(true);
    }
    expect(existsSync(path)).toBe(false);
  });

  it('is removed by its owner when its keeper has been killed', async () => {
    const folder = await RunFolder.create({ baseDir: base });
    (folder as unknown as { keeper: { kill(signal: string): void } }).keeper.kill('SIGKILL');
    await folder.close();
    expect(existsSync(folder.path)).toBe(false);
  });

  it('comes in as many as there are runs, none of which prunes another', async () => {
    const folders = await Promise.all(Array.from({ length: 6 }, () => RunFolder.create({ baseDir: base })));
    expect(folders.map(({ path }) => existsSync(path))).toEqual(Array(6).fill(true));
    await Promise.all(folders.map((folder) => folder.close()));
  });

  it('removes the folders of runs that were killed along with their keepers', async () => {
    await mkdir(join(base, 'run-dead', 'sub'), { recursive: true });
    await using folder = await RunFolder.create({ baseDir: base });
    expect(existsSync(join(base, 'run-dead'))).toBe(false);
    expect(existsSync(folder.path)).toBe(true);
  });

  it('lives below TMPDIR, in a folder for this user alone', async () => {
    vi.stubEnv('TMPDIR', base);
    await using folder = await RunFolder.create();
    const parent = join(base, `ghostcard-${process.getuid!()}`);
    expect(folder.path.startsWith(`${parent}/run-`)).toBe(true);
    expect(statSync(parent).mode & 0o777).toBe(0o700);
  });

  it('lives below /tmp when TMPDIR is too long for sockets', async () => {
    vi.stubEnv('TMPDIR', join(base, 'x'.repeat(80)));
    await using folder = await RunFolder.create();
    expect(folder.path).toMatch(/^\/tmp\/ghostcard-\d+\/run-[0-9a-f]{8}$/);
  });

  it('is refused where socket paths would be too long, with the limit', async () => {
    const baseDir = join(base, 'x'.repeat(80));
    await expect(RunFolder.create({ baseDir })).rejects.toThrow(
      /^The path \S+ has \d+ bytes; 74 is the limit\. Set TMPDIR to a shorter path\.$/,
    );
  });

  it('is refused in a place that someone else may have prepared', async () => {
    await mkdir(join(base, 'elsewhere'));
    await symlink(join(base, 'elsewhere'), join(base, 'link'));
    await expect(RunFolder.create({ baseDir: join(base, 'link') })).rejects.toThrow(
      /link cannot hold run folders: it must be a folder that belongs to this user/,
    );
    await mkdir(join(base, 'open'));
    await chmod(join(base, 'open'), 0o777);
    await expect(RunFolder.create({ baseDir: join(base, 'open') })).rejects.toThrow(/that no one else can write to/);
  });

  it('refuses a socket name that the system could not take', async () => {
    await using folder = await RunFolder.create({ baseDir: base });
    expect(Buffer.byteLength(folder.socketPath('x'.repeat(32)))).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES);
    expect(() => folder.socketPath('x'.repeat(100))).toThrow(/107 is the limit\. Use a shorter name\.$/);
  });
});
