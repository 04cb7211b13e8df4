import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { cacheFolder, cacheLimitBytes, explainCacheError, parseSize } from './folder';
import { ProvisionError } from '../basis/errors';

describe('the cache folder', () => {
  test('is GHOSTCARD_CACHE, else below XDG_CACHE_HOME, else below the home folder', () => {
    expect(cacheFolder({ GHOSTCARD_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/ghostcard');
    expect(cacheFolder({ XDG_CACHE_HOME: 'not/absolute' })).toMatch(/\/\.cache\/ghostcard$/);
  });
});

describe('the cache folder of a user', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('is absolute even if HOME is empty or not absolute', () => {
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
    ['EROFS', '/cache/lock', 'make it writable, or set GHOSTCARD_CACHE to another folder'],
    ['EACCES', '/cache/entries', 'make it writable, or set GHOSTCARD_CACHE to another folder'],
    ['ENOSPC', undefined, 'make room in the folder of the cache'],
  ])('because of %s causes an error with what was seen and what to do', (code, file, cure) => {
    const message = (explainCacheError(fault(code, file), '/cache') as Error).message;
    expect(message).toContain(`writing to the cache /cache: ${code}: it says`);
    expect(message).toContain(cure);
  });

  test('because its file system has no locks causes an error that says so', () => {
    expect((explainCacheError(fault('ENOLCK', undefined, 'flock'), '/cache') as Error).message).toContain(
      'set GHOSTCARD_CACHE to a folder on a file system that supports locks (flock)',
    );
  });

  test('because a parent folder cannot be made causes such an error too', () => {
    expect(explainCacheError(fault('ENOENT', '/proc/nope', 'mkdir'), '/proc/nope/x')).toBeInstanceOf(ProvisionError);
  });

  test('because there is a file in its place causes such an error too', () => {
    expect(explainCacheError(fault('EEXIST', '/cache', 'mkdir'), '/cache')).toBeInstanceOf(ProvisionError);
  });

  test('is not reported for errors elsewhere', () => {
    for (const other of [
      fault('EACCES', '/lib/modules'),
      fault('ENOENT', '/cache/lock'),
      new Error('something else'),
    ]) {
      expect(explainCacheError(other, '/cache')).toBe(other);
    }
  });
});

describe('a size', () => {
  test.each([
    ['4G', 4 * 2 ** 30],
    ['500M', 500 * 2 ** 20],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['64kB', 64 * 2 ** 10],
    ['2t', 2 * 2 ** 40],
    ['0', 0],
  ])('is parsed from %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', 'much', '-1', '4 X', '1e9', 'G', '5', '1000', '5 B'])('is not parsed from "%s"', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});

describe('the limit of the cache', () => {
  test('is 4 GiB unless GHOSTCARD_CACHE_LIMIT says otherwise', () => {
    expect(cacheLimitBytes({})).toBe(8 * 2 ** 30);
    expect(cacheLimitBytes({ GHOSTCARD_CACHE_LIMIT: '' })).toBe(8 * 2 ** 30);
    expect(cacheLimitBytes({ GHOSTCARD_CACHE_LIMIT: '300M' })).toBe(300 * 2 ** 20);
  });

  test('that is not a size is refused, and the error says what to write instead', () => {
    expect(() => cacheLimitBytes({ GHOSTCARD_CACHE_LIMIT: 'lots' })).toThrow(
      'GHOSTCARD_CACHE_LIMIT is "lots"\nWhat to do: set it to a number with a unit (K, M, G, T), such as 4G or 500M, or unset it',
    );
  });
});
