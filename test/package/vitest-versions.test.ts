/** `ghostcard/vitest` with the versions of Vitest that a project may have, installed by npm and by pnpm. */
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { install, run, write } from './project';

const { tarball, installed } = inject('package');

const TEST = `
import { expect, test } from 'ghostcard/vitest';
import { PciCard, registerMap } from 'ghostcard';

const MAP = registerMap({ ID: { offset: 0, access: 'ro', reset: 7 } });
class Card extends PciCard {
  registers = this.registerBar(0, MAP);
  constructor() {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000 }, {});
  }
}
test('a card in process', () => expect(new Card()).toHaveRegister('ID', 7));
`;

it.each([
  ['4.1.12', 20, []],
  ['4.1.12', 24, []],
  ['5.1.2', 22, ['vite@8.3.8']],
])('Vitest %s runs a test on Node %i', async (version, node, peers) => {
  const { text, exitCode } = await runTest(version, node, peers);
  expect(exitCode, text).toBe(0);
  expect(text).toContain('1 passed');
});

it('another version is refused with a sentence', async () => {
  const { text, exitCode } = await runTest('3.2.4', 22);
  expect(exitCode).toBe(1);
  expect(text).toContain('ghostcard/vitest works with Vitest 4.1 or newer, and with 5; this project has 3.2.4.');
});

it('pnpm installs it too', async () => {
  const folder = join(installed, '..', 'pnpm');
  write(folder, { 'package.json': { name: 'project' }, 'card.test.ts': TEST });
  const pnpm = ['exec', '--yes', 'pnpm@10.34.9', '--'];
  const added = await run(folder, 'npm', [...pnpm, 'add', '--save-dev', tarball, 'vitest@4.1.12']);
  expect(added.exitCode, added.text).toBe(0);
  expect(await run(folder, 'node_modules/.bin/ghostcard', ['--version'])).toEqual({ text: '0.1.0', exitCode: 0 });
  const { text } = await run(folder, 'node_modules/.bin/vitest', ['run']);
  expect(text).toContain('1 passed');
});

async function runTest(version: string, node: number, peers: readonly string[] = []) {
  const folder = join(installed, '..', `vitest-${version}`);
  install(folder, [tarball, `vitest@${version}`, ...peers, '--legacy-peer-deps']);
  write(folder, { 'card.test.ts': TEST });
  return run(folder, join(installed, `node_modules/node-${node}/bin/node`), ['node_modules/vitest/vitest.mjs', 'run']);
}
