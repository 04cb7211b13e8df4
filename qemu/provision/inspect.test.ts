import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hostArch } from './basis/arch';
import { inspect, type Inspection } from './inspect';
import { type ProvisionOptions } from './basis/types';

const foreign = hostArch() === 'amd64' ? 'arm64' : 'amd64';

function inspectEmpty(options: ProvisionOptions): Promise<Inspection> {
  const cacheDir = mkdtempSync(path.join(tmpdir(), 'ghostcard-inspect-'));
  onTestFinished(() => rmSync(cacheDir, { recursive: true }));
  return inspect({ ...options, cacheDir, env: {} });
}

/** The parts that are not ready, with their state. */
async function toBeMade(options: ProvisionOptions): Promise<Record<string, string>> {
  const { parts } = await inspectEmpty(options);
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

test("each of Debian's kernels has its own sizes, and is named", async () => {
  const kernelOf = async (kernel: string) =>
    (await inspectEmpty({ guestArch: hostArch(), kernel })).parts.find(({ step }) => step === 'kernel')!;
  const [cloud, generic] = [await kernelOf('cloud'), await kernelOf('generic')];
  expect([cloud.detail, generic.detail]).toEqual([
    expect.stringMatching(/^the cloud kernel of /),
    expect.stringMatching(/^the generic kernel of /),
  ]);
  for (const size of ['downloadBytes', 'diskBytes', 'peakBytes'] as const)
    expect(generic[size]).toBeGreaterThan(cloud[size]!);
});
