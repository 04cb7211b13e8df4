/** Projects of users, in folders of their own. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa, type Options } from 'execa';

/** Makes a project with these packages. Returns what npm said. */
export function install(folder: string, packages: readonly string[]): string {
  write(folder, { 'package.json': { name: 'project', version: '1.0.0', private: true } });
  return execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...packages], {
    ...{ cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  });
}

/** Objects are JSON. */
export function write(folder: string, files: Readonly<Record<string, string | object>>): void {
  for (const [name, contents] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof contents === 'string' ? contents : JSON.stringify(contents));
  }
}

/** All that it prints, and its exit code. */
export async function run(folder: string, command: string, args: readonly string[], options: Options = {}) {
  const { all, exitCode } = await execa(command, args, { ...options, cwd: folder, all: true, reject: false });
  return { text: String(all), exitCode };
}
