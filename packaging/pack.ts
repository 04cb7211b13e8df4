/**
 * Makes the tarball that others install: `npm run pack`, which prints its path. It is what `npm pack` takes, without what
 * is for the clone only: scripts, which npm would offer to run, dependencies of the development, and names of sources.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isOld } from './build';

const ROOT = join(__dirname, '..');

/** Writes it into `folder`; returns its path. */
export function pack(folder: string): string {
  if (isOld()) build();
  const scratch = join(ROOT, `build/package-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const all = npmPack(ROOT, scratch);
    execFileSync('tar', ['xzf', all, '-C', scratch]);
    const manifest = join(scratch, 'package', 'package.json');
    const {
      scripts: _,
      devDependencies: __,
      allowScripts: ___,
      ...rest
    } = JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, unknown>;
    const withoutSources = (key: string, value: unknown): unknown => (key === 'ghostcard-source' ? undefined : value);
    writeFileSync(manifest, `${JSON.stringify(rest, withoutSources, 2)}\n`);
    return npmPack(join(scratch, 'package'), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function npmPack(what: string, to: string): string {
  const options = ['--ignore-scripts', '--silent', '--pack-destination', to];
  return join(to, execFileSync('npm', ['pack', ...options], { cwd: what, encoding: 'utf8' }).trim());
}

if (require.main === module) {
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  console.log(pack(join(ROOT, 'build')));
}
