/** docs/ci.md: its files agree with each other and with the container. What their commands do: test/guest/ci.test.ts. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { githubJob, gitlabJobs } from '../support/ci-document';

const repository = join(__dirname, '..', '..');
const container = readFileSync(join(repository, '.ci', 'Containerfile'), 'utf8');
const [, image] = /^FROM (\S+)$/m.exec(container) ?? [];
const packagesIn = (text = ''): string | undefined => /--no-install-recommends ([a-z -]+)/.exec(text)?.[1]?.trim();

const inSteps = (name: string): string[] => githubJob.steps.flatMap((step) => step.with?.[name] ?? []);

describe('the jobs of docs/ci.md', () => {
  it('run in the image that the container is made from', () => {
    expect(image).toBeDefined();
    expect(githubJob.container).toBe(image);
    expect(gitlabJobs.common.image).toBe(image);
  });

  it("install the container's packages", () => {
    const wanted = packagesIn(container);
    expect(wanted).toContain('nodejs');
    expect(packagesIn(githubJob.steps[0]?.run)).toBe(wanted);
    expect(packagesIn(gitlabJobs.common.before_script[0])).toBe(wanted);
  });

  it('cache the folder that ghostcard is told to use, under a key of a file that is there', () => {
    const { GHOSTCARD_CACHE: folder } = githubJob.env;
    expect(inSteps('path')).toEqual([folder, folder, 'artifacts']);
    expect(inSteps('key')[0]).toContain("hashFiles('package-lock.json')");
    expect(gitlabJobs.common.cache.paths).toEqual([folder]);
    expect(gitlabJobs.common.variables['GHOSTCARD_CACHE']).toBe(`$CI_PROJECT_DIR/${folder}`);
    for (const file of gitlabJobs.common.cache.key.files) expect(existsSync(join(repository, file)), file).toBe(true);
  });

  it('split the suite into as many parts as there are machines', () => {
    const { shard } = githubJob.strategy.matrix;
    expect(shard).toEqual(shard.map((_, index) => index + 1));
    expect(githubJob.steps.find(({ run }) => run?.includes('--shard'))?.run).toContain(`/${shard.length} `);
    expect(gitlabJobs.test.parallel).toBe(shard.length);
  });
});
