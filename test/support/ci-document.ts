/** The YAML files in docs/ci.md, parsed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The YAML parser comes with ESLint; nothing else here needs one. */
const eslint = createRequire(require.resolve('eslint/package.json'));
const { load } = createRequire(eslint.resolve('@eslint/eslintrc'))('js-yaml') as { load(text: string): unknown };

interface GithubWorkflow {
  readonly jobs: Record<
    string,
    {
      readonly container: string;
      readonly strategy: { readonly matrix: { readonly shard: readonly number[] } };
      readonly env: Record<string, string>;
      readonly steps: readonly {
        readonly run?: string;
        readonly uses?: string;
        readonly with?: Record<string, string>;
      }[];
    }
  >;
}

interface GitlabJob {
  readonly image: string;
  readonly variables: Record<string, string>;
  readonly cache: { readonly paths: readonly string[]; readonly key: { readonly files: readonly string[] } };
  readonly before_script: readonly string[];
  readonly script: readonly string[];
  readonly parallel: number;
  readonly artifacts: { readonly paths: readonly string[]; readonly reports: { readonly junit: string } };
}

const text = readFileSync(join(__dirname, '..', '..', 'docs', 'ci.md'), 'utf8');

function parse(name: string): unknown {
  const block = [...text.matchAll(/^```yaml\n# (\S+)\n(.*?)^```$/gms)].find(([, each]) => each === name);
  if (!block) throw new Error(`docs/ci.md has no YAML block that begins with "# ${name}"`);
  return load(block[2] ?? '');
}

export const githubJob = (parse('.github/workflows/guest-tests.yml') as GithubWorkflow).jobs['guest-tests']!;

const gitlab = parse('.gitlab-ci.yml') as Record<string, GitlabJob>;
/** What the jobs of GitLab have in common, the one that fills the cache, and the one that runs tests. */
export const gitlabJobs = { common: gitlab['.guest']!, provision: gitlab['provision']!, test: gitlab['guest-tests']! };
