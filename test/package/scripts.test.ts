/** Scripts that drive a card in process, as docs/getting-started.md shows one, under each version of Node and each runner. */
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { run, write } from './project';

const { installed } = inject('package');
const modules = join(installed, 'node_modules');
const node = (version: number): string => join(modules, `node-${version}/bin/node`);
const NODES = [20, 22, 24];

const DRIVE = `
const BLINK = registerMap({ LEDS: { offset: 0x04, access: 'rw', fields: { RED: [0] } } });
class BlinkCard extends PciCard {
  registers = this.registerBar(0, BLINK);
  constructor(environment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4742, classCode: 0x12_00_00 }, environment);
  }
}
const card = new BlinkCard();
new InProcessHost(card).registers(0, BLINK).write('LEDS', 1);
console.log('red:', card.registers.get('LEDS.RED'));
`;
const IMPORT = "import { InProcessHost, PciCard, registerMap } from 'ghostcard';\n";
const TYPESCRIPT =
  IMPORT.replace('{ ', '{ type CardEnvironment, ') +
  DRIVE.replace('environment = {}', 'environment: CardEnvironment = {}');
const REQUIRE = "const { InProcessHost, PciCard, registerMap } = require('ghostcard');\n";

describe.each(['module', 'commonjs', undefined] as const)('in a package of type %s', (type) => {
  const folder = join(installed, 'scripts', String(type));
  beforeAll(() =>
    write(folder, {
      'package.json': { name: 'scripts', ...(type && { type }) },
      'drive.ts': TYPESCRIPT,
      'drive.mts': TYPESCRIPT,
      'drive.mjs': IMPORT + DRIVE,
      'drive.cjs': REQUIRE + DRIVE,
      'tsconfig.json': { compilerOptions: { module: 'nodenext', target: 'es2022', strict: true } },
    }),
  );

  it.each([
    ...NODES.flatMap((version) => [
      { by: `Node ${version}`, argv: [node(version)], file: 'drive.mjs' },
      { by: `Node ${version}`, argv: [node(version)], file: 'drive.cjs' },
      { by: `tsx on Node ${version}`, argv: [node(version), join(modules, 'tsx/dist/cli.mjs')], file: 'drive.ts' },
    ]),
    ...[22, 24].map((version) => ({
      ...{ by: `Node ${version}, which strips types`, argv: [node(version)], file: 'drive.mts' },
    })),
    // It cannot load TypeScript as ES modules.
    ...(type === 'module'
      ? []
      : [{ by: 'ts-node', argv: [node(20), join(modules, 'ts-node/dist/bin.js')], file: 'drive.ts' }]),
  ])('$by runs a script: $file', async ({ argv: [command = '', ...args], file }) => {
    const { text, exitCode } = await run(folder, command, [...args, file]);
    expect(text).toContain('red: 1');
    expect(exitCode, text).toBe(0);
  });
});

it.each(NODES)('the command line runs on Node %i', async (version) => {
  const cli = join(modules, 'ghostcard/cli/ghostcard.js');
  const { text } = await run(installed, node(version), [cli, 'run', '--help']);
  expect(text).toMatch(/^Usage: ghostcard run /);
});
