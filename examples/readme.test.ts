/**
 * What the examples' READMEs have the reader type works as it is written: each `sh` block is run in the example's folder,
 * and prints exactly what the `text` block after it says, if one comes before the next `sh` block. In the README of the
 * repository, the lines with a path of an example are run. No run has a notice, nor anything left to say of its card. And
 * the smallest example is as small as is said of it.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const repository = join(__dirname, '..');
const examples = readdirSync(__dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const read = (...path: string[]): string => readFileSync(join(repository, ...path), 'utf8');

/** A command may be a Vitest of its own, with which the variables of this one have nothing to do. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$)/.test(name)));

async function outputOf(commands: string, folder: string): Promise<string> {
  const strict = commands.replaceAll(/\bghostcard run( --quiet)?/g, 'ghostcard run --strict');
  const { stdout, stderr } = await run('bash', ['-euc', strict], { cwd: folder, env });
  expect(stderr).not.toMatch(/ halted | was refused | still running| never (taken|read)/);
  return stdout;
}

describe.each(examples.map(({ name }) => name))('the README of the example %s', (example) => {
  const blocks = [...read('examples', example, 'README.md').matchAll(/^```(sh|text)\n(.*?)^```$/gms)];
  const sessions = blocks.flatMap(([, language, commands = ''], index) => {
    const [, next, output] = blocks[index + 1] ?? [];
    return language === 'sh' ? [{ commands, output: next === 'text' ? output : undefined }] : [];
  });

  it('says what to type', () => {
    expect(sessions).not.toHaveLength(0);
  });

  it.each(sessions)('$commands', async ({ commands, output }) => {
    const printed = await outputOf(commands, join(__dirname, example));
    if (output !== undefined) expect(printed).toBe(output);
  });
});

describe('the example blink', () => {
  it('is a card, a driver and a test in under 60 lines altogether', () => {
    const sources = ['blink-card.ts', 'blink.c', 'blink.test.ts'].map((file) => read('examples', 'blink', file));
    expect(sources.join('').split('\n').length - 1).toBeLessThan(60);
  });
});

describe('the README of the repository', () => {
  const lines = read('README.md')
    .split('\n')
    .filter((line) => /^npx .* (\.\/)?examples\//.test(line));

  it('has commands for examples', () => {
    expect(lines).not.toHaveLength(0);
  });

  it.each(lines)('%s', async (line) => {
    await outputOf(line, repository);
  });
});
