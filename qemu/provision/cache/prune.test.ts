import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Cache } from './cache';
import { listCache } from './items';
import { pruneCache } from './prune';
import { killOutright, lockHolder } from '../../../test/support/lock-holder';

let folder: string;
let cache: Cache;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-cache-'));
  cache = new Cache(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;
/** An unused entry of 1 MiB that was last used this many seconds after 1970. */
async function publish(step: string, usedAt: number, ingredients = {}): Promise<string> {
  const entry = await cache.publish(step, ingredients, (into) => {
    writeFileSync(path.join(into, 'data'), Buffer.alloc(MIB, 1));
    return Promise.resolve({ description: `a ${step}` });
  });
  entry.release();
  utimesSync(entry.folder, usedAt, usedAt);
  return entry.folder;
}
const names = (items: readonly { name: string }[]) => items.map(({ name }) => name.replace(/-[0-9a-f]{16}$/, ''));

describe('the list of the cache', () => {
  test('has every item with its description, its size, the time of its last use, and whether it is in use', async () => {
    await publish('qemu', 1000);
    using used = cache.use('qemu', {});
    expect(used).toBeDefined();
    mkdirSync(path.join(folder, 'work/kernel-1'), { recursive: true });
    mkdirSync(path.join(folder, 'apt/lists'), { recursive: true });
    mkdirSync(path.join(folder, 'transpiled'));
    writeFileSync(path.join(folder, 'notes.txt'), 'mine');
    writeFileSync(path.join(folder, 'lock'), '');
    const items = (await listCache(folder)).map(({ name, kind, description, inUse }) => [
      name.replace(/-\w{16}$/, ''),
      kind,
      description,
      inUse,
    ]);
    expect(items).toEqual([
      ['entries/qemu', 'entry', 'a qemu', true],
      ['transpiled', 'transpiled', 'JavaScript compiled from TypeScript', false],
      ['apt', 'downloads', 'package lists and downloads', false],
      ['work/kernel-1', 'leftover', 'left by a run that was killed', false],
      ['lock', 'lock', 'lock of the provisioning that is running', false],
      ['notes.txt', 'unknown', 'not created by ghostcard', false],
    ]);
  });

  test('counts the disk usage of a file, not its holes', async () => {
    const file = path.join(folder, 'data');
    writeFileSync(file, Buffer.alloc(MIB, 1));
    truncateSync(file, 512 * MIB);
    const [item] = await listCache(folder);
    expect(item?.bytes).toBeGreaterThanOrEqual(MIB);
    expect(item?.bytes).toBeLessThan(2 * MIB);
  });

  test('has the size that an entry had when it was made, which is not measured again', async () => {
    const entry = await publish('snapshot', 1000);
    writeFileSync(path.join(entry, 'more'), Buffer.alloc(MIB, 1));
    const [item] = await listCache(folder);
    expect(item?.bytes).toBeGreaterThan(MIB);
    expect(item?.bytes).toBeLessThan(2 * MIB);
  });

  test('distinguishes work in progress from leftovers', async () => {
    await cache.publish('kernel', {}, async () => {
      expect((await listCache(folder)).map(({ kind }) => kind)).toEqual(['work']);
      return { description: '' };
    });
  });

  test('is empty for a cache that does not exist', async () => {
    expect(await listCache(path.join(folder, 'none'))).toEqual([]);
  });

  test('describes entries of earlier versions and damaged entries as such', async () => {
    const entry = await publish('qemu', 1000);
    writeFileSync(path.join(entry, 'manifest.json'), '{"step":"qemu","manifest":{}}');
    expect((await listCache(folder))[0]?.description).toBe('qemu, created by an earlier version');
    truncateSync(path.join(entry, 'manifest.json'));
    expect((await listCache(folder))[0]?.description).toContain('damaged');
  });
});

describe('pruning', () => {
  test('to a size removes the least recently used items', async () => {
    for (const [step, usedAt] of Object.entries({ b: 2000, a: 1000, c: 3000 })) await publish(step, usedAt);
    const { removed, freedBytes } = await pruneCache(folder, { keepBytes: 2.5 * MIB });
    expect(names(removed)).toEqual(['entries/a']);
    expect(freedBytes).toBeGreaterThan(MIB);
    expect(names(await listCache(folder))).toEqual(['entries/b', 'entries/c']);
  });

  test('by age removes the items that were not used since', async () => {
    for (const [step, usedAt] of Object.entries({ a: 1000, b: 2000, c: 3000 })) await publish(step, usedAt);
    const { removed } = await pruneCache(folder, { unusedSince: new Date(2_000_000) });
    expect(names(removed)).toEqual(['entries/a']);
  });

  test('everything removes all unused items that ghostcard created, and nothing else', async () => {
    await publish('qemu', 1000);
    mkdirSync(path.join(folder, 'work/half'), { recursive: true });
    writeFileSync(path.join(folder, 'work/file'), '');
    mkdirSync(path.join(folder, 'apt/lists'), { recursive: true });
    mkdirSync(path.join(folder, 'transpiled'));
    mkdirSync(path.join(folder, 'photos'));
    mkdirSync(path.join(folder, 'entries/photos'));
    await pruneCache(folder, { all: true });
    expect(names(await listCache(folder))).toEqual(['entries/photos', 'lock', 'photos']);
    expect(readdirSync(path.join(folder, 'work'))).toEqual([]);
  });

  test('keeps an entry that another process uses, until that process is killed', async () => {
    const entry = await publish('snapshot', 1000);
    const user = await lockHolder(entry, 'shared');
    const { inUse } = await pruneCache(folder, { all: true });
    expect(names(inUse)).toEqual(['entries/snapshot']);
    expect(cache.use('snapshot', {})).toBeDefined();
    await killOutright(user);
    // This process still uses what `use` has returned.
    expect(names((await pruneCache(folder, { all: true })).inUse)).toEqual(['entries/snapshot']);
  });

  test('keeps an entry that this process has found', async () => {
    await publish('qemu', 1000);
    cache.find('qemu', {});
    await pruneCache(folder, { all: true });
    expect(cache.find('qemu', {})).toBeDefined();
  });

  test('keeps what another process is building, and the downloads of one that is provisioning', async () => {
    mkdirSync(path.join(folder, 'work/snapshot'), { recursive: true });
    mkdirSync(path.join(folder, 'apt/lists'), { recursive: true });
    const holders = await Promise.all([
      lockHolder(path.join(folder, 'work/snapshot'), 'exclusive'),
      lockHolder(path.join(folder, 'lock'), 'exclusive'),
    ]);
    await pruneCache(folder, { all: true });
    expect(existsSync(path.join(folder, 'work/snapshot'))).toBe(true);
    expect(existsSync(path.join(folder, 'apt/lists'))).toBe(true);
    await Promise.all(holders.map(killOutright));
    const { removed } = await pruneCache(folder, { all: true });
    expect(names(removed)).toEqual(['work/snapshot', 'apt']);
  });

  test('can run several times concurrently', async () => {
    for (let index = 0; index < 10; index += 1) await publish('snapshot', 1000 + index, { index });
    const pruned = await Promise.all([1, 2, 3].map(() => pruneCache(folder, { all: true })));
    expect(pruned.flatMap(({ removed }) => removed).length).toBeGreaterThanOrEqual(10);
    expect(await listCache(folder)).toEqual([]);
  });
});

test('publishing keeps the cache below its limit, except for entries in use', async () => {
  cache = new Cache(folder, 2.5 * MIB);
  await publish('a', 1000);
  using used = cache.use('a', {});
  expect(used).toBeDefined();
  await publish('b', 500);
  await publish('c', 3000);
  await publish('d', 4000);
  expect(names(await listCache(folder))).toEqual(['entries/a', 'entries/d']);
});
