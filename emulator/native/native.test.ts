import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { addonPath, loadAddon, loadNative, requireBuilt } from '.';
import { nativeContract } from '../../test/support/native/contract';
import { FakeNative } from '../../test/support/native/fake';

const folder = mkdtempSync(join(tmpdir(), 'ghostcard-native-'));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;
const freshPath = (): string => join(folder, `${serial++}`);

describe('the addon', () => {
  nativeContract(() => ({
    native: loadNative(),
    freshPath,
    openTwice: () => {
      const path = freshPath();
      return [openSync(path, 'w'), openSync(path, 'r')];
    },
  }));

  test('is refused when a source is newer than the binary', () => {
    const sources = mkdtempSync(join(folder, 'sources-'));
    const addon = join(sources, 'ghostcard.node');
    for (const name of ['old.c', 'new.h', 'ghostcard.node']) {
      writeFileSync(join(sources, name), '');
      utimesSync(join(sources, name), 1000, 1000);
    }
    requireBuilt(addon, sources);
    utimesSync(join(sources, 'new.h'), 2000, 2000);
    expect(() => requireBuilt(addon, sources)).toThrow(
      /ghostcard\.node, is older than its sources \(new\.h\).*npm ci/s,
    );
  });

  test('a socket is for its user only, whatever the umask', () => {
    const umask = process.umask(0);
    try {
      const path = join(folder, 'private');
      const native = loadNative();
      native.close(native.listen(path, 1));
      expect(statSync(path).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(umask);
    }
  });

  test('leaves no descriptor open when a call fails', () => {
    const native = loadNative();
    const openBefore = readdirSync('/proc/self/fd').length;
    expect(() => native.listen(join(folder, 'no', 'such', 'folder'), 1)).toThrow('ENOENT');
    expect(() => native.connect(freshPath())).toThrow('ENOENT');
    expect(readdirSync('/proc/self/fd').length).toBe(openBefore);
  });

  test('mappings of the same pages see each other, at any offset', () => {
    const native = loadNative();
    const fd = native.memfdCreate('aliases', 8192);
    const whole = native.map(fd, 0, 8192, true);
    const half = native.map(fd, 4096, 4096, true);
    const readOnly = native.map(fd, 0, 8192, false);
    new Uint8Array(whole)[4096] = 5;
    expect(new Uint8Array(half)[0]).toBe(5);
    expect(new Uint8Array(readOnly)[4096]).toBe(5);
    for (const mapped of [whole, half, readOnly]) native.unmap(mapped);
    native.close(fd);
  });

  test('a file that is truncated under a mapping reads as zeros instead of killing the process', () => {
    const native = loadNative();
    const fd = openSync(freshPath(), 'w+');
    ftruncateSync(fd, 8192);
    const bytes = new Uint8Array(native.map(fd, 0, 8192, true));
    bytes.fill(7);
    ftruncateSync(fd, 0);
    expect(bytes[0]).toBe(0);
    bytes[4096] = 1;
    expect(bytes[4096]).toBe(1);
    native.unmap(bytes.buffer as ArrayBuffer);
    closeSync(fd);
  });

  const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
  /** More than the kernel allows a process mappings (vm.max_map_count). */
  const MANY = 70_000;

  test('a truncated file takes two mappings, whichever of its pages are accessed, in whatever order', () => {
    const native = loadNative();
    const fd = openSync(freshPath(), 'w+');
    const sizeBytes = MANY * 2 * 4096;
    ftruncateSync(fd, sizeBytes);
    const bytes = new Uint8Array(native.map(fd, 0, sizeBytes, true));
    bytes[0] = 5;
    ftruncateSync(fd, 4096);
    const before = mappings();
    for (let page = MANY - 1; page > 0; page--) expect(bytes[page * 2 * 4096]).toBe(0);
    expect(bytes[0]).toBe(5);
    expect(mappings()).toBeLessThan(before + 1000);
    native.unmap(bytes.buffer as ArrayBuffer);
    closeSync(fd);
  });

  test('thousands of truncated files take a thousand mappings more at most', () => {
    const native = loadNative();
    const fd = openSync(freshPath(), 'w+');
    ftruncateSync(fd, 8192);
    const all = Array.from({ length: 3000 }, () => new Uint8Array(native.map(fd, 0, 8192, true)));
    const before = mappings();
    ftruncateSync(fd, 4096);
    for (const bytes of all) expect(bytes[4096]).toBe(0);
    expect(mappings()).toBeLessThan(before + 1100);
    for (const bytes of all) native.unmap(bytes.buffer as ArrayBuffer);
    ftruncateSync(fd, 8192);
    const again = new Uint8Array(native.map(fd, 0, 8192, true));
    again[0] = 6;
    ftruncateSync(fd, 4096);
    expect([again[0], again[4096]]).toEqual([6, 0]); // all that was cut has been given back
    native.unmap(again.buffer as ArrayBuffer);
    closeSync(fd);
  });

  test('nextExtent finds the data of a file with holes', () => {
    const native = loadNative();
    const fd = openSync(freshPath(), 'w+');
    ftruncateSync(fd, 64 << 20);
    writeSync(fd, 'data', 32 << 20);
    const [start, end] = native.nextExtent(fd, 0)!;
    expect(start).toBeLessThanOrEqual(32 << 20);
    expect(end).toBeGreaterThan(32 << 20);
    expect(end - start).toBeLessThan(1 << 20);
    expect(native.nextExtent(fd, end)).toBeUndefined();
    closeSync(fd);
  });

  test('anonymous memory cannot be truncated by a process that it is passed to', () => {
    const native = loadNative();
    const fd = native.memfdCreate('sealed', 8192);
    expect(() => ftruncateSync(fd, 0)).toThrow('EPERM');
    native.close(fd);
  });

  test('a mapping of 4 GiB is possible, a larger one is refused', () => {
    const native = loadNative();
    const most = 2 ** 32;
    const fd = native.memfdCreate('large', most + 4096);
    const mapped = native.map(fd, 4096, most, true);
    const bytes = new Uint8Array(mapped);
    bytes[most - 1] = 9;
    expect(bytes[most - 1]).toBe(9);
    native.unmap(mapped);
    expect(() => native.map(fd, 0, most + 1, true)).toThrow('map it in pieces');
    native.close(fd);
  });

  test('a mapping that was not unmapped is unmapped when its buffer is collected', async () => {
    const native = loadNative();
    const fd = native.memfdCreate('collected', 4096);
    const inMaps = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes('memfd:collected');
    (() => void native.map(fd, 0, 4096, true))();
    expect(inMaps()).toBe(true);
    const { setFlagsFromString } = await import('node:v8');
    setFlagsFromString('--expose-gc');
    const { runInNewContext } = await import('node:vm');
    const collect = runInNewContext('gc') as () => void;
    for (let turn = 0; turn < 1000 && inMaps(); turn++) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(inMaps()).toBe(false);
    native.close(fd);
  });

  test('the addon stays loaded when a worker ends, because it contains a signal handler', () => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const load = 'process.dlopen({ exports: {} }, ' + ${JSON.stringify(JSON.stringify(addonPath))} + ')';
      new Worker(load, { eval: true }).on('exit', () =>
        console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('ghostcard.node')));`;
    const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
    expect(stdout).toBe('true\n');
  });

  test('a worker ends cleanly with pollers and mappings in use', () => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const use = \`
        const addon = { exports: {} };
        process.dlopen(addon, ${JSON.stringify(addonPath)});
        const { memfdCreate, map, socketpair, Poller } = addon.exports;
        globalThis.kept = map(memfdCreate('worker', 8192), 0, 8192, true);
        for (const fd of socketpair()) new Poller(fd, () => {}).start(3);
        setImmediate(() => process.exit(0));\`;
      new Worker(use, { eval: true }).on('exit', () =>
        console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('memfd:worker')));`;
    const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
    expect(stdout).toBe('false\n');
  });

  test('a missing binary causes an error that says how to build it', () => {
    expect(() => loadAddon(join(folder, 'missing.node'))).toThrow(/missing\.node.*npm ci.*C compiler/s);
  });
});

describe('the fake', () => {
  nativeContract(() => {
    const native = new FakeNative();
    return {
      native,
      freshPath,
      openTwice: () => [native.openFile('locked'), native.openFile('locked')],
    };
  });
});
