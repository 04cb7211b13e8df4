/** `ghostcard run --faults FILE`, from the file to the exit code. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { readTrace } from '../../instrumentation/trace';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
/** Of the reference card. */
const SCRATCH = '0x0c';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-faults-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(faults: readonly FaultDeclaration[], ...options: string[]) {
  const file = join(folder, 'faults.json');
  writeFileSync(file, JSON.stringify(faults));
  const command = ['gc-reg', `${SCRATCH}=5`, `${SCRATCH}=6`, SCRATCH];
  const args = ['run', '--minimal', '--driver', 'uio_pci_generic', '--faults', file, ...options, '--', ...command];
  return spawnSync(process.execPath, [cli, ...args], {
    env: { ...process.env, GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir, TMPDIR: folder },
    encoding: 'utf8',
    timeout: 90_000,
  });
}

describe('ghostcard run --faults', () => {
  it('injects the fault, reports it, and records it in the trace', () => {
    const trace = join(folder, 'run.trace');
    const lost = { fault: 'write-lost', name: 'lost', register: 'SCRATCH', occurrence: 2 } as const;
    const { status, stdout, stderr } = run([lost], '--trace', trace);
    expect(stdout).toContain('0x000c = 0x00000005');
    expect(stderr).toContain("the fault 'lost' of the card 'reference' has fired once");
    expect(status).toBe(0);
    const { events } = readTrace(trace);
    expect(events.find(({ kind }) => kind === 'card')).toMatchObject({ description: { faults: [lost] } });
    expect(events.filter(({ kind }) => kind === 'fault')).toMatchObject([{ fault: 'lost' }]);
  });

  it('ends with 122 when a fault has never fired, and reports what it waited for', () => {
    const never = { fault: 'write-lost', register: 'SCRATCH', occurrence: 3 } as const;
    const { status, stderr } = run([never, { ...never, mayNotFire: true }]);
    expect(stderr).toMatch(
      /ghostcard: The fault 'write-lost' of the card 'reference' has not fired: it waited for occurrence 3 of writes to SCRATCH; 2 of \d+ writes to the card matched\n/,
    );
    expect(stderr).not.toContain('write-lost-2');
    expect(status).toBe(122);
  });
});
