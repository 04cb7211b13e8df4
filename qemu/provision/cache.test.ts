import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProvisionError } from './errors';
import { Cache, cacheFolder, cacheKey, explainCacheFault } from './cache';

describe('the cache folder', () => {
  test('is the one of GHOSTCARD_CACHE, else below XDG_CACHE_HOME, else below the home folder', () => {
    expect(cacheFolder({ GHOSTCARD_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/ghostcard');
    expect(cacheFolder({ XDG_CACHE_HOME: 'not/absolute' })).toMatch(/\/\.cache\/ghostcard$/);
  });
});

describe('the cache folder of a user', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('is an absolute one also when HOME is empty or not absolute', () => {
    for (const home of ['', 'somewhere']) {
      vi.stubEnv('HOME', home);
      expect(path.isAbsolute(cacheFolder({}))).toBe(true);
    }
  });
});

describe('a cache that cannot be written', () => {
  const fault = (code: string, file?: string, syscall = 'open') =>
    Object.assign(new Error(`${code}: it says`), { code, path: file, syscall });

  test.each([
    ['EROFS', '/cache/lock', 'make it a folder that you can write to, or set GHOSTCARD_CACHE to another'],
    ['EACCES', '/cache/entries', 'make it a folder that you can write to, or set GHOSTCARD_CACHE to another'],
    ['ENOSPC', undefined, 'make room in the folder of the cache'],
  ])('with %s is told with what was seen and what to do', (code, file, cure) => {
    const message = (explainCacheFault(fault(code, file), '/cache') as Error).message;
    expect(message).toContain(`writing to the cache /cache: ${code}: it says`);
    expect(message).toContain(cure);
  });

  test('because a file is in its place, is told too', () => {
    expect(explainCacheFault(fault('EEXIST', '/cache', 'mkdir'), '/cache')).toBeInstanceOf(ProvisionError);
  });

  test('is not blamed for what went wrong elsewhere', () => {
    for (const other of [
      fault('EACCES', '/lib/modules'),
      fault('ENOENT', '/cache/lock'),
      new Error('something else'),
    ]) {
      expect(explainCacheFault(other, '/cache')).toBe(other);
    }
  });
});

describe('a key', () => {
  test('does not depend on the order in which ingredients are written', () => {
    expect(cacheKey({ a: 1, b: { c: [1, 2], d: 'x' } })).toBe(cacheKey({ b: { d: 'x', c: [1, 2] }, a: 1 }));
  });

  test('differs when any ingredient differs, also by type or order in a list', () => {
    const keys = [{ a: 1 }, { a: '1' }, { a: [1, 2] }, { a: [2, 1] }, { a: null }, { b: 1 }].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('the cache', () => {
  let folder: string;
  let cache: Cache;
  const write = (text: string) => (into: string) => {
    writeFileSync(path.join(into, 'data'), text);
    return Promise.resolve({ text });
  };

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-cache-'));
    cache = new Cache(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('finds what was published with the same ingredients, and nothing else', async () => {
    const made = await cache.publish('qemu', { recipe: 1 }, write('one'));
    expect(cache.find('qemu', { recipe: 1 })).toEqual(made);
    expect(cache.find('qemu', { recipe: 2 })).toBeUndefined();
    expect(cache.find('kernel', { recipe: 1 })).toBeUndefined();
  });

  test.each([
    ['whose manifest was cut short', (entry: string) => truncateSync(path.join(entry, 'manifest.json'), 20)],
    ['whose manifest is empty', (entry: string) => truncateSync(path.join(entry, 'manifest.json'))],
    ['that has lost a file', (entry: string) => rmSync(path.join(entry, 'data'))],
    ['of which a file was cut short', (entry: string) => truncateSync(path.join(entry, 'data'), 1)],
  ])('does not find an entry %s, and makes it anew', async (_, damage) => {
    const { folder: entry } = await cache.publish('qemu', { recipe: 1 }, write('one'));
    damage(entry);
    expect(cache.find('qemu', { recipe: 1 })).toBeUndefined();
    const again = await cache.publish('qemu', { recipe: 1 }, write('one'));
    expect(cache.find('qemu', { recipe: 1 })).toEqual(again);
  });

  test('shows no entry while it is being built', async () => {
    await cache.publish('qemu', { recipe: 1 }, async (into) => {
      expect(cache.find('qemu', { recipe: 1 })).toBeUndefined();
      return await write('one')(into);
    });
  });

  test('keeps nothing of a build that fails', async () => {
    const broken = cache.publish('qemu', { recipe: 1 }, () => Promise.reject(new Error('disk full')));
    await expect(broken).rejects.toThrow('disk full');
    expect(readdirSync(path.join(folder, 'entries'))).toEqual([]);
    expect(readdirSync(path.join(folder, 'work'))).toEqual([]);
  });

  test('removes what a killed run has left half built, and keeps what is complete', async () => {
    const made = await cache.publish('qemu', { recipe: 1 }, write('one'));
    writeFileSync(path.join(folder, 'work', 'half'), '');
    cache.removeLeftovers();
    expect(existsSync(path.join(folder, 'work'))).toBe(false);
    expect(cache.find('qemu', { recipe: 1 })).toEqual(made);
  });

  test('tidies away the least recently used of many entries of a step, and the downloads', async () => {
    const made = [];
    for (let recipe = 0; recipe < 10; recipe += 1) made.push(await cache.publish('initramfs', { recipe }, write('x')));
    for (const [index, { folder: entry }] of made.entries()) utimesSync(entry, 1000 + index, 1000 + index);
    cache.find('initramfs', { recipe: 0 });
    cache.tidy();
    const left = [...made.keys()].filter((recipe) => cache.find('initramfs', { recipe }) !== undefined);
    expect(left).toEqual([0, 3, 4, 5, 6, 7, 8, 9]);
    expect(existsSync(path.join(folder, 'apt'))).toBe(false);
  });
});
