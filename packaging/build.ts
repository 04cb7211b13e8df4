/**
 * Makes `dist`, the JavaScript that the package has: `npm run build`. With `--if-old`, only when a source is newer.
 *
 * It is made beside and then put in place: what runs meanwhile has the old one or the new one.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundlePage } from './report-page';

const ROOT = join(__dirname, '..');
const DIST = join(ROOT, 'dist');
/** What `dist` is made from. */
const SOURCES = [
  'emulator',
  'instrumentation',
  'qemu',
  'harness',
  'cli',
  'packaging',
  'tsconfig.json',
  'tsconfig.build.json',
];
/** What the compiler does not write. */
const COPIED = ['emulator/watchdog/thread.js', 'harness/package.json'];

const filesBelow = (path: string): string[] =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesBelow(join(path, name))) : [path];

/** Whether a source is newer than `dist`. */
export function isOld(): boolean {
  const builtMs = statSync(DIST, { throwIfNoEntry: false })?.mtimeMs;
  if (builtMs === undefined) return true;
  const isSource = (path: string): boolean => /\.(ts|js|json|html|css)$/.test(path);
  return SOURCES.flatMap((name) => filesBelow(join(ROOT, name)))
    .filter((path) => isSource(path) && !path.endsWith('.test.ts'))
    .some((path) => statSync(path).mtimeMs > builtMs);
}

export function build(): void {
  const scratch = join(ROOT, `build/dist-${process.pid}`);
  const compiler = require.resolve('typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', scratch], {
      ...{ cwd: ROOT, stdio: 'inherit' },
    });
    for (const file of COPIED) copy(join(ROOT, file), join(scratch, file));
    finishHarness(join(scratch, 'harness'));
    writeFolder(join(scratch, 'report-page'), bundlePage(join(ROOT, 'instrumentation/report/page')));
    rmSync(DIST, { recursive: true, force: true });
    renameSync(scratch, DIST);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

/**
 * `ghostcard/vitest` is made of ES modules, as Vitest is. Its declarations import the sources by name, which the compiler
 * rewrites in JavaScript only; and a project of CommonJS modules needs declarations of its own kind.
 */
function finishHarness(folder: string): void {
  for (const file of filesBelow(folder).filter((path) => path.endsWith('.d.ts'))) {
    const text = readFileSync(file, 'utf8');
    const importing = (own: string): string =>
      text.replace(/((?:from|import\() ?'(\.[^']*))\.ts'/g, (_, before: string, path: string) => {
        const isOwn = join(dirname(file), path).startsWith(`${folder}/`);
        return `${before}.${isOwn ? own : 'js'}'`;
      });
    writeFileSync(file, importing('js'));
    writeFileSync(file.replace(/\.ts$/, '.cts'), importing('cjs'));
  }
  for (const name of ['index', 'setup'])
    writeFileSync(join(folder, `${name}.cjs`), `'use strict';\nmodule.exports = require('./${name}.js');\n`);
}

function writeFolder(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

if (require.main === module && !(process.argv.includes('--if-old') && !isOld())) build();
