import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Cache, cacheKey, type UsedEntry } from './cache';
import { killOutright, lockHolder } from '../../../test/support/lock-holder';

describe('a key', () => {
  test('does not depend on the order of the ingredients', () => {
    expect(cacheKey({ a: 1, b: { c: [1, 2], d: 'x' } })).toBe(cacheKey({ b: { d: 'x', c: [1, 2] }, a: 1 }));
  });

  test('differs if any ingredient differs, even by type or by order in a list', () => {
    const keys = [{ a: 1 }, { a: '1' }, { a: [1, 2] }, { a: [2, 1] }, { a: null }, { b: 1 }].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('the cache', () => {
  let folder: string;
  let cache: Cache;
  const write = (text: string) => (into: string) => {
    writeFileSync(path.join(into, 'data'), text);
    return Promise.resolve({ description: text });
  };

  const told = ({ folder: entry, manifest }: UsedEntry<unknown>) => ({ folder: entry, manifest });

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-cache-'));
    cache = new Cache(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('finds an entry by the ingredients it was published with, and by no others', async () => {
    const made = await cache.publish('qemu', { recipe: 1 }, write('one'));
    expect(cache.find('qemu', { recipe: 1 })).toMatchObject(told(made));
    expect(cache.find('qemu', { recipe: 2 })).toBeUndefined();
    expect(cache.find('kernel', { recipe: 1 })).toBeUndefined();
  });

  test.each([
    ['whose manifest was truncated', (entry: string) => truncateSync(path.join(entry, 'manifest.json'), 20)],
    ['whose manifest is empty', (entry: string) => truncateSync(path.join(entry, 'manifest.json'))],
    ['that has lost a file', (entry: string) => rmSync(path.join(entry, 'data'))],
    ['with a truncated file', (entry: string) => truncateSync(path.join(entry, 'data'), 1)],
  ])('does not find an entry %s, and rebuilds it', async (_, damage) => {
    const { folder: entry } = await cache.publish('qemu', { recipe: 1 }, write('one'));
    damage(entry);
    expect(cache.find('qemu', { recipe: 1 })).toBeUndefined();
    const again = await cache.publish('qemu', { recipe: 1 }, write('one'));
    expect(cache.find('qemu', { recipe: 1 })).toMatchObject(told(again));
  });

  test('does not find an entry while it is being built', async () => {
    await cache.publish('qemu', { recipe: 1 }, async (into) => {
      expect(cache.find('qemu', { recipe: 1 })).toBeUndefined();
      return await write('one')(into);
    });
  });

  test('keeps nothing of a failed build', async () => {
    const broken = cache.publish('qemu', { recipe: 1 }, () => Promise.reject(new Error('disk full')));
    await expect(broken).rejects.toThrow('disk full');
    expect(readdirSync(path.join(folder, 'entries'))).toEqual([]);
    expect(readdirSync(path.join(folder, 'work'))).toEqual([]);
  });

  test('builds an entry once if several callers publish it at the same time', async () => {
    const build = vi.fn(write('one'));
    const made = await Promise.all([1, 2, 3].map(() => cache.publish('qemu', { recipe: 1 }, build)));
    expect(build).toHaveBeenCalledTimes(1);
    expect(new Set(made.map((entry) => entry.folder)).size).toBe(1);
  });

  test('builds different entries concurrently', async () => {
    const other = vi.fn(write('two'));
    await cache.publish('snapshot', { cpus: 1 }, async (into) => {
      await cache.publish('snapshot', { cpus: 2 }, other);
      return await write('one')(into);
    });
    expect(other).toHaveBeenCalledTimes(1);
  });

  describe('whose file has changed', () => {
    const content = (): string => path.join(cache.find('snapshot', {})!.folder, 'data');
    const change = (file: string, text: string, time?: Date): void => {
      writeFileSync(file, text);
      if (time) utimesSync(file, time, time);
    };

    test('is not used, also when its size is the same', async () => {
      const { folder: entry } = await cache.publish('snapshot', {}, write('good'));
      change(content(), 'evil', new Date(0));
      expect(new Cache(folder).find('snapshot', {})).toBeUndefined();
      expect((await cache.publish('snapshot', {}, write('good'))).folder).toBe(entry);
      expect(readFileSync(content(), 'utf8')).toBe('good');
    });

    test('is used when its time is another only, as in a copy, and has its time back', async () => {
      await cache.publish('snapshot', {}, write('good'));
      const file = content();
      const { mtimeMs } = statSync(file);
      change(file, 'good', new Date(0));
      expect(cache.find('snapshot', {})).toBeDefined();
      expect(Math.abs(statSync(file).mtimeMs - mtimeMs)).toBeLessThan(2);
    });

    test('without a trace in size and time is found by reading, and discarded', async () => {
      await cache.publish('snapshot', {}, write('good'));
      const file = content();
      change(file, 'evil', statSync(file).mtime);
      expect(cache.find('snapshot', {})).toBeDefined();
      const found = [];
      for await (const entry of cache.verify()) found.push(entry);
      expect(found).toEqual([{ name: `snapshot-${cacheKey({})}`, description: expect.any(String), damaged: ['data'] }]);
      expect(await cache.discardDamaged()).toEqual([expect.stringMatching(/\(data\)$/)]);
      expect(cache.find('snapshot', {})).toBeUndefined();
      expect(await cache.discardDamaged()).toEqual([]);
    });

    test('is used, as before, when an early version has recorded its size only', async () => {
      const { folder: entry } = await cache.publish('snapshot', {}, write('good'));
      const manifest = path.join(entry, 'manifest.json');
      writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), files: { data: 4 } }));
      change(content(), 'evil', new Date(0));
      expect(cache.find('snapshot', {})).toBeDefined();
      change(content(), 'longer');
      expect(cache.find('snapshot', {})).toBeUndefined();
    });
  });

  test('rebuilds an entry after it was discarded', async () => {
    const bad = await cache.publish('snapshot', {}, write('bad'));
    cache.discard(bad);
    expect(cache.find('snapshot', {})).toBeUndefined();
    const good = await cache.publish('snapshot', {}, write('good'));
    cache.discard(bad);
    expect(cache.find('snapshot', {})?.manifest).toEqual(good.manifest);
    expect(readdirSync(path.join(folder, 'work'))).toEqual([]);
  });
});

describe('an entry that another process builds', () => {
  let folder: string;
  let cache: Cache;
  const build = () => Promise.resolve({ description: 'x' });
  const workFolder = () => path.join(folder, 'work', `snapshot-${cacheKey({})}`);

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-cache-'));
    cache = new Cache(folder);
    mkdirSync(workFolder(), { recursive: true });
    writeFileSync(path.join(workFolder(), 'half'), '');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is waited for, and built here if that process is killed', async () => {
    const other = await lockHolder(workFolder(), 'exclusive');
    const onWait = vi.fn(() => void other.kill('SIGKILL'));
    const made = await cache.publish('snapshot', {}, build, { onWait });
    expect(onWait).toHaveBeenCalledTimes(1);
    expect(readdirSync(made.folder)).toEqual(['manifest.json']);
    expect(readdirSync(path.join(folder, 'work'))).toEqual([]);
  });

  test('is waited for up to the limit, and the error says what it waited for', async () => {
    const other = await lockHolder(workFolder(), 'exclusive');
    const late = cache.publish('snapshot', {}, build, { timeoutMs: 0 });
    await expect(late).rejects.toThrow(`waiting for another ghostcard that is building snapshot-${cacheKey({})}`);
    await killOutright(other);
  });

  test('is waited for until an abort', async () => {
    const other = await lockHolder(workFolder(), 'exclusive');
    const abort = new AbortController();
    const waiting = cache.publish('snapshot', {}, build, { signal: abort.signal, onWait: () => abort.abort() });
    await expect(waiting).rejects.toThrow('aborted');
    await killOutright(other);
  });
});
