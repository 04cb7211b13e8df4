import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cache, listCache } from '../../qemu/provision';
import { cacheCommand } from './cache';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-cache-command-'));
  vi.stubEnv('GHOSTCARD_CACHE', folder);
  vi.stubEnv('GHOSTCARD_CACHE_LIMIT', '2G');
  mkdirSync(path.join(folder, 'work/half'), { recursive: true });
  const entry = await new Cache(folder).publish('snapshot', {}, (into) => {
    writeFileSync(path.join(into, 'machine'), Buffer.alloc(1 << 20, 1));
    return Promise.resolve({ description: '512 MiB, 1 CPU' });
  });
  entry.release();
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

async function printed(...args: string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await cacheCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parseAsync(args, { from: 'user' });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

test('lists the cache, with its size and its limit', async () => {
  const text = await printed();
  expect(text).toMatch(/1\.0 MiB {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}512 MiB, 1 CPU {2,}entries\/snapshot-/);
  expect(text).toContain(`in ${folder}; may grow to 2.0 GiB (GHOSTCARD_CACHE_LIMIT)`);
});

test('lists it as JSON', async () => {
  const { cacheDir, bytes, limitBytes, items } = JSON.parse(await printed('--json'));
  expect({ cacheDir, limitBytes }).toEqual({ cacheDir: folder, limitBytes: 2 * 2 ** 30 });
  expect(bytes).toBeGreaterThan(1 << 20);
  expect(items).toEqual(JSON.parse(JSON.stringify(await listCache(folder))));
});

test('prunes to the limit, to a size, by age, or all', async () => {
  expect(await printed('prune')).toMatch(/^0 B freed/);
  expect(await printed('prune', '--unused-for', '1')).toMatch(/^0 B freed/);
  expect(await printed('prune', '--keep', '500k')).toMatch(
    /^removed {2}entries\/snapshot-\w+: 512 MiB, 1 CPU\n1\.0 MiB/,
  );
  expect(await printed('prune', '--all')).toContain(`0 B left in ${folder}`);
});

test.each([
  [['prune', '--keep', '5'], 'It must be a number with a unit (K, M, G, T), such as 500M or 2G.'],
  [['prune', '--unused-for', 'long'], 'It must be a number of days.'],
  [['prune', '--all', '--keep', '1G'], "cannot be used with option '--keep <size>'"],
  [['shrink'], 'Allowed choices are list, prune.'],
  [['--all'], 'write "ghostcard cache prune" with them'],
])('refuses %j and says what is wrong', async (args, message) => {
  await expect(printed(...args)).rejects.toThrow(message);
});
