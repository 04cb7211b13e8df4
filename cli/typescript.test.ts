import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder as provisionedCacheFolder } from '../qemu/provision/cache/folder';

const hook = join(__dirname, 'typescript.js');
let folder: string;
let cache: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-typescript-'));
  cache = join(folder, 'cache');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a TypeScript file as the command line does; says whether the compiler was needed. */
function run(file: string, cacheDir = cache) {
  const compiler = require.resolve('typescript');
  const program =
    `require(${JSON.stringify(hook)}).acceptTypeScript(); require(${JSON.stringify(file)}); ` +
    `console.log(require.cache[${JSON.stringify(compiler)}] ? 'compiled' : 'kept');`;
  const env = { ...process.env, GHOSTCARD_CACHE: cacheDir };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { env, encoding: 'utf8', timeout: 30_000 });
  return { stdout, stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const kept = (): string[] => readdirSync(join(cache, 'transpiled'));

describe('TypeScript that is required', () => {
  it('is compiled once, and again when it has changed', () => {
    const path = file('a.ts', "const text: string = 'one';\nconsole.log(text);\n");
    expect(run(path).stdout).toBe('one\ncompiled\n');
    expect(run(path).stdout).toBe('one\nkept\n');
    file('a.ts', "const text: string = 'two';\nconsole.log(text);\n");
    expect(run(path).stdout).toBe('two\ncompiled\n');
    expect(kept()).toHaveLength(2);
  });

  it('has the lines of its source in stacks, kept or not', () => {
    const path = file('a.ts', "interface Gone {\n  a: string;\n}\n\nthrow new Error('planted');\n");
    for (let i = 0; i < 2; i++) expect(run(path).stderr).toContain(`${path}:5:7`);
  });

  it('is compiled again when the kept file is damaged', () => {
    const path = file('a.ts', "console.log('whole');\nconsole.log('to the end');\n");
    run(path);
    const [name = ''] = kept();
    const entry = join(cache, 'transpiled', name);
    writeFileSync(entry, readFileSync(entry, 'utf8').split('\n').slice(0, 3).join('\n'));
    expect(run(path).stdout).toBe('whole\nto the end\ncompiled\n');
    expect(run(path).stdout).toBe('whole\nto the end\nkept\n');
  });

  it('runs when nothing can be kept', () => {
    const path = file('a.ts', "console.log('runs');\n");
    expect(run(path, '/proc/cache').stdout).toBe('runs\ncompiled\n');
    expect(run(path, join(path, 'no-folder')).stdout).toBe('runs\ncompiled\n');
  });

  it('may use ES modules, and belong to a package of them', () => {
    file('package.json', '{ "type": "module" }');
    file('other.js', 'export const other = 5;\n');
    const path = file('a.ts', "import { other } from './other.js';\nconsole.log(other);\n");
    expect(run(path).stdout).toBe('5\ncompiled\n');
  });

  it('with a syntax error is refused, with the place', () => {
    const path = file('a.ts', 'const x: number = ;\n');
    expect(run(path).stderr).toMatch(/a\.ts\(1,19\): error TS1109: Expression expected\./);
  });

  it('is kept for a limited number of files', () => {
    mkdirSync(join(cache, 'transpiled'), { recursive: true });
    for (let i = 0; i < 1200; i++) writeFileSync(join(cache, 'transpiled', `${i}.js`), '');
    run(file('a.ts', "console.log('one more');\n"));
    expect(kept()).toHaveLength(601);
  });

  it.each([[{ GHOSTCARD_CACHE: 'here' }], [{ XDG_CACHE_HOME: '/xdg' }], [{ XDG_CACHE_HOME: 'not-absolute' }], [{}]])(
    'is kept in the cache folder that provisioning uses, with %j',
    (env) => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- plain JavaScript, without types
      const { cacheFolder } = require('./typescript.js') as { cacheFolder(env: NodeJS.ProcessEnv): string };
      expect(cacheFolder(env)).toBe(join(provisionedCacheFolder(env), 'transpiled'));
    },
  );
});
