/**
 * docs/finding-a-dma-bug.md is correct: its commands are run, one after the other, on a copy of the example, and print the
 * lines below them in that order, without notices. The excerpts of files are those of the example.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

const repository = join(__dirname, '..', '..');
const example = join(repository, 'examples', 'early-interrupt');
const text = readFileSync(join(repository, 'docs', 'finding-a-dma-bug.md'), 'utf8');
const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
  language,
  code,
}));
const codeOf = (language: string) => blocks.find((block) => block.language === language)?.code;

/** Commands, with the lines that are shown below them. */
const steps = blocks.flatMap(({ language, code }, at) => {
  const next = blocks[at + 1];
  const lines = next?.language === 'text' ? next.code.split('\n').filter((line) => line !== '') : [];
  return language === 'sh' ? [{ commands: code, lines }] : [];
});

/** What differs from run to run: times, addresses, durations. */
const stable = (line: string): string =>
  line
    .replaceAll(/\d+\.\d{3} us/g, 'TIME')
    .replaceAll(/0x[\da-f]{5,}/g, 'ADDRESS')
    .replaceAll(/\d+(\.\d+)? ?ms/g, 'DURATION')
    .trim();

let top: string;
let folder: string;
/** A project that uses ghostcard: with the packages, and the sources that the driver is built from. */
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'gc-story-'));
  folder = join(top, 'examples', 'early-interrupt');
  mkdirSync(folder, { recursive: true });
  for (const file of ['driver.c', 'Makefile', 'faults.json', 'fix.patch'])
    cpSync(join(example, file), join(folder, file));
  writeFileSync(join(folder, 'rule.test.ts'), codeOf('ts')!);
  symlinkSync(join(repository, 'guest-tools'), join(top, 'guest-tools'));
  mkdirSync(join(top, 'node_modules'));
  symlinkSync(repository, join(top, 'node_modules', 'ghostcard'));
  symlinkSync(join(repository, 'node_modules', '.bin'), join(top, 'node_modules', '.bin'));
  for (const name of ['vitest', '@types']) {
    symlinkSync(join(repository, 'node_modules', name), join(top, 'node_modules', name));
  }
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

function outputOf(commands: string): { status: number | null; output: string } {
  const cli = `"${process.execPath}" "${join(repository, 'cli', 'ghostcard.js')}"`;
  const vitest = `"${process.execPath}" "${join(repository, 'node_modules', 'vitest', 'vitest.mjs')}"`;
  const script = commands.replaceAll('npx ghostcard', cli).replaceAll('npx vitest', vitest);
  // The variables of this Vitest must not reach another one.
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$)/.test(name)));
  const env = { ...own, NO_COLOR: '1', GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir };
  const run = spawnSync('bash', ['-euo', 'pipefail', '-c', `exec 2>&1\n${script}`], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status: run.status, output: run.stdout };
}

describe('docs/finding-a-dma-bug.md', () => {
  it('shows the faults and the fix as they are in the example', () => {
    expect(readFileSync(join(example, 'faults.json'), 'utf8')).toBe(codeOf('json'));
    const shown = codeOf('diff')!.trimEnd().split('\n');
    expect(shown.length).toBeGreaterThan(10);
    expect(readFileSync(join(example, 'fix.patch'), 'utf8')).toContain(shown.join('\n'));
  });

  it.each(steps)('$commands', ({ commands, lines }) => {
    const { status, output } = outputOf(commands);
    expect(status, output).toBe(0);
    expect(output, 'a notice, or something left to say of the card').not.toMatch(
      /^ghostcard: .*(\[[\da-z-]+\]$| halted | was refused | still running$| never (taken|read))/m,
    );
    const printed = output.split('\n').map(stable);
    for (const line of lines.map(stable)) {
      const at = printed.indexOf(line);
      expect(at, `${line}\nis not, or not in this place, in\n${output}`).toBeGreaterThanOrEqual(0);
      // A run in the guest prints on two streams, and ghostcard on one: their order is not that of the lines.
      if (!commands.includes('ghostcard run')) printed.splice(0, at + 1);
    }
  });

  it('has made a report and traces, small enough to be attached to a ticket', () => {
    for (const file of ['bug.html', 'bug.trace', 'pumps.trace', 'fixed.trace']) {
      expect(statSync(join(folder, file)).size).toBeGreaterThan(1000);
      expect(statSync(join(folder, file)).size).toBeLessThan(2_000_000);
    }
  });
});
