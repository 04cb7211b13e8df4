/** Checks in guests: silent about `npm start` (driver-modes.test.ts has the rest), and what they say of drivers that make mistakes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { DRIVER_MODES } from '../../cli/guest/driver-modes';
import { type CardNotice, type Finding } from '../../instrumentation/trace';
import { type Rig } from '../../qemu/rig';
import { EngineCard } from '../support/check-examples';
import { installProgram, startRig } from '../support/rig';

const ghostcard = (...argv: string[]) =>
  spawnSync(process.execPath, [join(__dirname, '..', '..', 'cli', 'ghostcard.js'), ...argv], {
    env: { ...process.env, GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir },
    encoding: 'utf8',
  });

it('the demo gives no notice in any way to drive the card, and says at the end only what gc-errors and gc-stray provoke', () => {
  const artifacts = mkdtempSync(join(tmpdir(), 'gc-demo-'));
  try {
    const { status, stdout, stderr } = ghostcard('demo', '--json', '--artifacts', artifacts);
    expect(status, stderr).toBe(0);
    const { outcomes, notices, findings } = JSON.parse(stdout) as Record<'outcomes' | 'notices' | 'findings', object[]>;
    expect(new Set(outcomes.map((outcome) => (outcome as { driver: string }).driver)).size).toBe(DRIVER_MODES.length);
    expect(notices).toBeUndefined();
    expect(new Set(findings.map((finding) => (finding as Finding).kind))).toEqual(new Set(['halted', 'dma-refused']));
  } finally {
    rmSync(artifacts, { recursive: true });
  }
});

describe('a driver with mistakes', () => {
  const notices: CardNotice[] = [];
  let program: string;
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      cards: [{ name: 'card', make: ({ clock }) => new EngineCard(clock, 1e6) }],
      onNotice: (_, notice) => notices.push(notice),
    });
    program = await installProgram(rig, join(__dirname, 'board-access.c'));
    return () => rig.close();
  });
  beforeEach(() => void notices.splice(0));

  const drive = async (mistake: string): Promise<number | undefined> => {
    const { pciAddress } = await rig.bind('card', 'uio_pci_generic');
    const env = { GHOSTCARD_PCI_ADDRESS: pciAddress };
    const { exitCode } = await rig.guest.run([program, mistake], { env });
    await rig.settled();
    return exitCode;
  };

  it('that stores across two registers is noticed, with the register and what amd64 and arm64 make of it', async () => {
    expect(await drive('unaligned')).toBe(0);
    expect(notices.map(({ kind, register }) => [kind, register])).toEqual([['access-size', 'VECTOR']]);
    expect(notices[0]!.text).toMatch(/2 bytes at BAR0 \+ 0xa: VECTOR \+ 2.* on amd64; on arm64 .* SIGBUS/);
  });

  it('that ends and leaves the engine at work is noticed, with the command', async () => {
    expect(await drive('leave')).toBe(0);
    expect(notices.map(({ kind }) => kind)).toEqual(['dma-without-driver']);
    expect(notices[0]!.text).toMatch(/ENGINE reads .* although the command \/tmp\/board-access leave has ended/);
  });
});

it('ghostcard run --strict fails with exit code 121, and counts; a check that is switched off says nothing', () => {
  const run = (...options: string[]) =>
    ghostcard(
      ...['run', '--card', 'reference', '--driver', 'vfio-pci', '--minimal', '--strict', ...options],
      ...['--', 'gc-reg', '--width', '16', '0x0c=1', '0x0c', '0x10'],
    );
  const plain = run();
  expect(plain.status, plain.stderr).toBe(121);
  expect(plain.stderr.match(/reference: the driver writes 2 bytes at BAR0 \+ 0xc: SCRATCH/g)).toHaveLength(1);
  expect(plain.stderr).toContain('reference: access-size, 3 times: SCRATCH, CONTROL');
  const json = JSON.parse(run('--json').stdout) as { exitCode: number; error: string; notices: object[] };
  expect(json).toMatchObject({
    exitCode: 121,
    error: 'there were notices, and --strict is given: access-size',
    notices: [{ card: 'reference', kind: 'access-size', register: 'SCRATCH', times: 3 }],
  });
  expect(run('--without-check', 'access-size').status).toBe(0);
});
