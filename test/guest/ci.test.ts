/**
 * The commands of the jobs in docs/ci.md, one after the other as on a machine of a CI service, in a user's project: a
 * guest test and two others, split over three machines. The cache is as restored by a cache service.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { githubJob, gitlabJobs } from '../support/ci-document';

const run = promisify(execFile);
const repository = join(__dirname, '..', '..');
const SHARDS = githubJob.strategy.matrix.shard;
/** What the cache of an earlier job has: it was saved after provisioning, before the first guest. */
const CACHED = /^(qemu|kernel|busybox|guest-tools|initramfs)-[0-9a-f]+$/;

let project: string;
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gc-ci-'));
  writeFileSync(join(project, 'package.json'), '{}');
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(repository, join(modules, 'ghostcard'));
  symlinkSync(join(repository, 'node_modules', 'vitest'), join(modules, 'vitest'));
  symlinkSync(join(repository, 'cli', 'ghostcard.js'), join(modules, '.bin', 'ghostcard'));
  symlinkSync(join(repository, 'node_modules', 'vitest', 'vitest.mjs'), join(modules, '.bin', 'vitest'));

  cpSync(join(repository, 'examples', 'blink'), join(project, 'blink'), { recursive: true });
  const plain = "import { it } from 'vitest';\nit('passes', () => {});\n";
  for (const name of ['one', 'two']) writeFileSync(join(project, `${name}.test.ts`), plain);

  const { cacheDir } = inject('provisioned').amd64;
  for (const name of readdirSync(join(cacheDir, 'entries')).filter((entry) => CACHED.test(entry))) {
    const target = join(project, '.cache', 'ghostcard', 'entries', name);
    cpSync(join(cacheDir, 'entries', name), target, {
      recursive: true,
      preserveTimestamps: true,
      verbatimSymlinks: true,
    });
  }
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** The machine's own packages and this project's stay as they are. */
const isForMachine = (line: string): boolean => /^(apt-get|npm ci)\b/.test(line);

/** Runs a job's lines in the project and returns its JUnit report. */
async function runJob(lines: readonly string[], variables: Readonly<Record<string, string>>): Promise<string> {
  const ours = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|NODE_ENV$|GHOSTCARD_(?!KERNEL_RELEASE))/.test(name),
  );
  const env = { ...(Object.fromEntries(ours) as Record<string, string>), ...variables };
  for (const line of lines.filter((each) => !isForMachine(each))) {
    await run('bash', ['-euo', 'pipefail', '-c', line], { cwd: project, env });
  }
  return readFileSync(join(project, 'artifacts', 'junit.xml'), 'utf8');
}

/** Test files in reports. */
const filesIn = (reports: readonly string[]): string[] =>
  reports.flatMap((report) => [...report.matchAll(/<testsuite name="([^"]*)"/g)].map(([, name = '']) => name)).sort();

const ALL = ['blink/blink.test.ts', 'one.test.ts', 'two.test.ts'];

it('the steps of the GitHub job provision from the cache, and each machine reports its part of the tests', async () => {
  const reports: string[] = [];
  for (const shard of SHARDS) {
    const lines = githubJob.steps.flatMap((step) => step.run?.replaceAll('${{ matrix.shard }}', String(shard)) ?? []);
    reports.push(await runJob(lines, githubJob.env));
  }
  expect(filesIn(reports)).toEqual(ALL);
  expect(reports.join()).not.toMatch(/(failures|errors)="[1-9]/);
});

it('the scripts of the GitLab jobs do the same', async () => {
  const { common, provision, test } = gitlabJobs;
  const predefined = { CI_PROJECT_DIR: project, CI_NODE_TOTAL: String(test.parallel) };
  const GHOSTCARD_CACHE = (common.variables['GHOSTCARD_CACHE'] ?? '').replace('$CI_PROJECT_DIR', project);
  const reports: string[] = [];
  for (const shard of SHARDS) {
    const lines = [...common.before_script, ...(shard === 1 ? provision.script : []), ...test.script];
    reports.push(await runJob(lines, { ...predefined, GHOSTCARD_CACHE, CI_NODE_INDEX: String(shard) }));
  }
  expect(filesIn(reports)).toEqual(ALL);
  expect(reports.join()).not.toMatch(/(failures|errors)="[1-9]/);
});
