/** The command line as a script meets it: exit codes, streams, JSON. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

const cli = join(__dirname, '..', '..', 'qemu', 'cli', 'ghostcard.js');

function ghostcard(args: readonly string[], input = '') {
  const env = { ...process.env, GHOSTCARD_CACHE: inject('provisioned').cacheDir };
  return spawnSync(process.execPath, [cli, ...args], { input, env, encoding: 'utf8', timeout: 90_000 });
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A card that throws in a task of the clock, a while after the driver's write. */
const faultyCard = `
  const { PciCard, registerMap } = require(${JSON.stringify(join(__dirname, '..', '..', 'emulator', 'index.ts'))});
  module.exports = class FaultyCard extends PciCard {
    constructor(environment) {
      super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000, intx: 'A' }, environment);
      const registers = this.registerBar(0, registerMap({ GO: { offset: 0, access: 'wo' } }));
      registers.onWrite('GO', () => this.clock.after(1000, () => { throw new Error('planted in the model'); }));
    }
  };
`;

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

  it('puts files into the guest before the command runs, modes kept', () => {
    const script = join(folder, 'hello.sh');
    writeFileSync(script, '#!/bin/sh\necho hello from the guest\n', { mode: 0o755 });
    const { status, stdout } = ghostcard(['run', '--quiet', '--push', script, '--', '/tmp/hello.sh']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'hello from the guest\n' });
  });

  it('fails when the model of the card has a fault, whatever the command makes of it', () => {
    const card = join(folder, 'faulty.js');
    writeFileSync(card, faultyCard);
    const { status, stderr } = ghostcard([
      'run',
      '--card',
      card,
      '--driver',
      'uio_pci_generic',
      '--',
      'gc-reg',
      '0x0=1',
    ]);
    expect(status).toBe(125);
    expect(stderr).toContain('planted in the model');
    expect(stderr).toContain('1 fault(s) of the card model, see above; the command ended with 0');
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
