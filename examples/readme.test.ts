/**
 * Every command in the READMEs of the examples works as it is written there: each `sh` block is run in the repository's
 * folder, and prints what the `text` block that follows says, if one does.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const repository = join(__dirname, '..');
const examples = readdirSync(__dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());

/** A command's own tests are a Vitest of their own, and this one's variables none of its business. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$)/.test(name)));

function commandsOf(example: string): { script: string; output: string }[] {
  const text = readFileSync(join(__dirname, example, 'README.md'), 'utf8');
  const blocks = text.matchAll(/^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms);
  return [...blocks].map(([, script = '', output = '']) => ({ script, output }));
}

describe.each(examples.map(({ name }) => name))('the README of %s', (example) => {
  const commands = commandsOf(example);

  it('shows how to run it', () => {
    expect(commands).not.toHaveLength(0);
  });

  it.each(commands)('$script', async ({ script, output }) => {
    const { stdout } = await run('bash', ['-euc', script], { cwd: repository, env });
    expect(stdout).toContain(output);
  });
});
