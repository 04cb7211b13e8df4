import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hostArch } from './basis/arch';
import { inspect } from './inspect';
import { type ProvisionOptions } from './basis/types';

const foreign = hostArch() === 'amd64' ? 'arm64' : 'amd64';

/** The parts that are not ready, with their state. */
async function toBeMade(options: ProvisionOptions): Promise<Record<string, string>> {
  const cacheDir = mkdtempSync(path.join(tmpdir(), 'ghostcard-inspect-'));
  onTestFinished(() => rmSync(cacheDir, { recursive: true }));
  const { parts } = await inspect({ ...options, cacheDir, env: {} });
  return Object.fromEntries(parts.filter(({ state }) => state !== 'ready').map(({ step, state }) => [step, state]));
}

test('with an empty cache the kernel is to be fetched, and modules and programs are to be built', async () => {
  expect(await toBeMade({ guestArch: hostArch() })).toMatchObject({
    'kernel': 'to be fetched',
    'modules': 'to be built',
    'guest-tools': 'to be built',
  });
});

test('for a guest of another architecture the compiler precedes what it compiles', async () => {
  const steps = Object.keys(await toBeMade({ guestArch: foreign }));
  const compiled = ['kernel', 'modules', 'guest-tools'];
  expect(steps.filter((step) => compiled.includes(step))).toEqual(compiled);
  // Not to be fetched if the machine has one.
  expect(steps.indexOf('compiler')).toBeLessThan(steps.indexOf('kernel'));
});

test("modules of the user replace ghostcard's own", async () => {
  const given = await toBeMade({ guestArch: hostArch(), modules: '/nowhere' });
  expect(given).not.toHaveProperty('modules');
});
