import { spawnSync } from 'node:child_process';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { record, useFolder } from '../../test/support/trace-command';

const repository = join(__dirname, '..', '..');
/** Of a process that may have to compile all that it loads, on a busy machine. */
const SLOW_MS = 60_000;
const folder = useFolder();

/** The modules of ghostcard that a process of its own has loaded at its end, after `program`. */
function modulesLoadedBy(program: string): string[] {
  const script =
    "process.on('exit', () => require('fs').writeSync(2, Object.keys(require.cache).join('\\n')));\n" + program;
  const env = { PATH: process.env.PATH, HOME: process.env.HOME };
  const ended = spawnSync(process.execPath, ['-e', script], { cwd: repository, env, encoding: 'utf8' });
  expect(ended.status, ended.stderr).toBe(0);
  return ended.stderr.split('\n').map((path) => relative(join(repository, 'dist'), path));
}

const isOfQemu = (path: string): boolean => path.startsWith('qemu/');

describe('no module of qemu/ is loaded', { timeout: SLOW_MS }, () => {
  it('with the commands that need no guest', () => {
    const loaded = modulesLoadedBy("void require('./dist/cli/main.js').program(['serve', 'replay', 'trace']);");
    expect(loaded).toEqual(
      expect.arrayContaining(
        ['serve.js', 'replay.js', 'trace/show.js', 'trace/to-test.js'].map((name) => `cli/commands/${name}`),
      ),
    );
    expect(loaded.filter(isOfQemu)).toEqual([]);
  });

  it.each([
    ['trace stats', []],
    ['trace coverage', []],
    ['trace show', ['--last', '1']],
    ['replay', ['--card', 'reference']],
  ])('by the whole run of ghostcard %s', (command, options) => {
    const file = join(folder.path, 'run.trace');
    record(file)[Symbol.dispose]();
    const argv = ['node', 'ghostcard', ...command.split(' '), file, ...options];
    const loaded = modulesLoadedBy(`void require('./dist/cli/main.js').main(${JSON.stringify(argv)});`);
    expect(loaded).toContain('cli/main.js');
    expect(loaded.filter(isOfQemu)).toEqual([]);
  });

  it('but by a command with a guest, so this test can fail', () => {
    const loaded = modulesLoadedBy("void require('./dist/cli/main.js').program(['doctor']);");
    expect(loaded).toContain('qemu/provision/index.js');
  });
});
