/** The command line as a script meets it: exit codes, streams, JSON. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';

const cli = join(__dirname, '..', '..', 'qemu', 'cli', 'ghostcard.js');

function ghostcard(args: readonly string[], input = '') {
  const env = { ...process.env, GHOSTCARD_CACHE: inject('provisioned').cacheDir };
  return spawnSync(process.execPath, [cli, ...args], { input, env, encoding: 'utf8', timeout: 90_000 });
}

describe('ghostcard run', () => {
  it("ends with the command's exit code, keeps its streams apart and hands it standard input", () => {
    const { status, stdout, stderr } = ghostcard(['run', '--', 'sh', '-c', 'cat; echo trouble >&2; exit 7'], 'hello\n');
    expect(status).toBe(7);
    expect(stdout).toBe('hello\n');
    expect(stderr).toContain('trouble\n');
  });

  it('ends with 128 + n when a signal ended the command', () => {
    expect(ghostcard(['run', '--quiet', '--', 'sh', '-c', 'kill -TERM $$']).status).toBe(128 + 15);
  });

  it('ends with 124 when the time limit was reached', () => {
    expect(ghostcard(['run', '--timeout', '1', '--', 'sleep', '1000']).status).toBe(124);
  });

  it('ends with 123 when the guest dies, and shows its last words', () => {
    const { status, stderr } = ghostcard(['run', '--', 'sh', '-c', 'echo c > /proc/sysrq-trigger; sleep 60']);
    expect(status).toBe(123);
    expect(stderr).toContain('sysrq triggered crash');
  });

  it('ends with 127 when there is no such command in the guest', () => {
    const { status, stderr } = ghostcard(['run', '--', 'no-such-command']);
    expect(status).toBe(127);
    expect(stderr).toContain('no-such-command');
  });

  it('prints one JSON object with the output and the cards', () => {
    const { status, stdout } = ghostcard([
      'run',
      '--driver',
      'uio_pci_generic',
      '--json',
      '--',
      'sh',
      '-c',
      'echo $GHOSTCARD_DEVICE',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 0,
      stdout: '/dev/uio0\n',
      cards: [{ card: 'reference', driver: 'uio_pci_generic', node: '/dev/uio0' }],
    });
  });
});
