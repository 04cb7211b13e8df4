/** docs/coherence.md is correct: its commands are run, and print the lines below them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';

const repository = join(__dirname, '..', '..');
const cli = join(repository, 'cli', 'ghostcard.js');
const text = readFileSync(join(repository, 'docs', 'coherence.md'), 'utf8');

/** A command and the output below it, if any is shown. */
const shown = [...text.matchAll(/^```sh\n(.*?)\n```$(?:\n\n```text\n(.*?)^```$)?/gms)].map(
  ([, command = '', lines = '']) => ({ command, lines: lines.split('\n').filter((line) => line !== '') }),
);

/** The kernel decides where memory is. */
const withoutAddresses = (line: string): string => line.replaceAll(/(?<=at |address )0x[0-9a-f]+/g, '0x…');

describe('docs/coherence.md', () => {
  it('has commands, and all are of ghostcard', () => {
    expect(shown.length).toBeGreaterThan(5);
    expect(shown.filter(({ command }) => !command.startsWith('npx ghostcard run '))).toEqual([]);
  });

  it.each(shown)('$command', ({ command, lines }) => {
    const ghostcard = command.replace('npx ghostcard', `"${process.execPath}" "${cli}"`);
    const env = { ...process.env, GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir };
    const { status, stdout, stderr } = spawnSync('sh', ['-c', ghostcard], { env, encoding: 'utf8', timeout: 300_000 });
    expect(status, stderr).toBe(0);
    expect(stdout.split('\n').map(withoutAddresses)).toEqual(expect.arrayContaining(lines.map(withoutAddresses)));
  });
});
