import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';

const CLI = join(__dirname, '../ghostcard.js');
const scriptFor = async (shell: string): Promise<string> =>
  (await execa(process.execPath, [CLI, 'completion', shell])).stdout;

describe('the completion of bash', () => {
  let script: string;
  beforeAll(async () => void (script = await scriptFor('bash')));

  const completed = async (...words: string[]): Promise<string[]> => {
    const ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ghostcard; echo "${COMPREPLY[*]}"';
    const { stdout } = await execa('bash', ['-c', `${script}\n${ask}`, 'bash', 'ghostcard', ...words]);
    return stdout.split(' ').filter(Boolean);
  };

  it.each([
    [['ru'], ['run']],
    [['run', '--car'], ['--card']],
    [['run', '--card', 'x'], ['xdma']],
    [
      ['run', '--card', 'reference', '--driver', 'vfio-p'],
      ['vfio-pci', 'vfio-platform'],
    ],
    [
      ['run', '--arch', ''],
      ['amd64', 'arm64'],
    ],
    [['trace', 'sh'], ['show']],
    [['trace', 'show', '--kin'], ['--kind']],
    [['completion', 'z'], ['zsh']],
  ])('of %j is %j', async (words, expected) => {
    expect(await completed(...words)).toEqual(expected);
  });

  it.each([[['run', '--faults', 'f']], [['run', '--card', './my-c']], [['run', '--', '--ca']]])(
    'of %j is left to bash, which knows files',
    async (words) => {
      expect(await completed(...words)).toEqual([]);
    },
  );
});

it('zsh has the same by its own module for that', async () => {
  expect(await scriptFor('zsh')).toBe(`autoload -U +X bashcompinit && bashcompinit\n${await scriptFor('bash')}`);
});

it('fish gets a line for each name', async () => {
  const lines = (await scriptFor('fish')).split('\n');
  const inRun = "complete -c ghostcard -n '__fish_seen_subcommand_from run' -l";
  expect(lines.find((line) => line.startsWith(`${inRun} arch `))).toContain(" -r -a 'amd64 arm64' -d ");
  expect(lines.filter((line) => !line.startsWith('complete -c ghostcard '))).toEqual([]);
});
