/**
 * docs/vendor-drivers.md is correct: its test is run as it stands, with the module of examples/kernel-module in place of
 * the vendor's, and a card that has its MSI-X table among its registers.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { blocksOf, repository } from '../support/documents';

it('docs/vendor-drivers.md has a test of a kernel module that passes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gc-vendor-'));
  try {
    const packages = join(folder, 'node_modules');
    mkdirSync(packages);
    symlinkSync(repository, join(packages, 'ghostcard'));
    symlinkSync(join(repository, 'node_modules', 'vitest'), join(packages, 'vitest'));
    const { code } = blocksOf('docs/vendor-drivers.md').find(({ language }) => language === 'ts')!;
    writeFileSync(join(folder, 'vendor.test.ts'), code);
    // The variables of this Vitest must not reach another one.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$)/.test(name)));
    const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs');
    const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, 'run', '--root', folder], {
      cwd: repository,
      env,
      encoding: 'utf8',
    });
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain('the driver of the vendor hears each bell');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
