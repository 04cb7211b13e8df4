/** The tarball: what is in it, and what tools for packages say of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { run, write } from './project';

const { tarball, unpacked, installed } = inject('package');
const clone = join(__dirname, '../..');
const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => join(parentPath, name).slice(unpacked.length + 1));

describe('the tarball', () => {
  it('has no tests, no sources in TypeScript and no configuration', () => {
    expect(files.filter((name) => /\.test\.|\.o$|tsconfig|eslint|vitest\.config|prettier/.test(name))).toEqual([]);
    expect(files.filter((name) => /(?<!\.d)\.[mc]?ts$/.test(name))).toEqual([]);
  });

  it('asks npm to run nothing, and depends on little', () => {
    const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Record<string, object>;
    expect(manifest).not.toHaveProperty('scripts');
    expect(manifest).not.toHaveProperty('devDependencies');
    expect(Object.keys(manifest.dependencies!)).toEqual([
      'commander',
      'execa',
      'fzstd',
      'jiti',
      'msgpack-lite',
      'node-api-headers',
      'tar',
    ]);
  });

  it.each([
    ['publint', ['publint', '--strict', tarball]],
    ['attw', ['attw', '--profile', 'node16', tarball]],
  ])('is clean for %s', async (_, argv) => {
    const { text, exitCode } = await run(clone, 'npx', argv);
    expect(exitCode, text).toBe(0);
  });

  it('has native parts that need no newer C library than documents say', async () => {
    const parts = ['emulator/native/build/ghostcard.node', 'qemu/launch/build/guard'];
    const { text } = await run(unpacked, 'objdump', ['-T', ...parts]);
    const needed = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    const stated = /glibc 2\.(\d+) or newer/.exec(readFileSync(join(unpacked, 'docs/getting-started.md'), 'utf8'));
    expect(Math.max(...needed)).toBeLessThanOrEqual(Number(stated?.[1]));
  });

  it('says how to build them where they do not work', async () => {
    const load = `process.dlopen = () => { throw new Error('wrong ELF class'); };
      require('./dist/emulator/native').loadNative();`;
    const { text } = await run(join(installed, 'node_modules/ghostcard'), 'node', ['-e', load]);
    expect(text).toMatch(/The native part of ghostcard cannot be loaded from \S+: wrong ELF class\./);
    expect(text).toMatch(/make -C \S+\/emulator\/native && make -C \S+\/qemu\/launch/);
  });

  it('prints its version and loads nothing for that', async () => {
    const hook = "process.on('exit', () => console.log(Object.keys(require.cache).length));";
    write(installed, { 'count.cjs': hook });
    const cli = 'node_modules/ghostcard/cli/ghostcard.js';
    const { text } = await run(installed, 'node', ['--require', './count.cjs', cli, '--version']);
    expect(text).toBe('0.1.0\n3'); // count.cjs, ghostcard.js, package.json
  });
});
