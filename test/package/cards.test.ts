/** Cards in files of all kinds, in packages of both kinds of modules, as `ghostcard serve` takes them. */
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { write } from './project';

const { installed } = inject('package');
const CLI = join(installed, 'node_modules/ghostcard/cli/ghostcard.js');

const card = (type = '', exporting = 'export default Card;'): string => `
class Card extends PciCard {
  ${type && 'readonly registers;'}
  constructor(environment${type}) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000 }, environment);
    this.registers = this.registerBar(0, registerMap({ ID: { offset: 0, access: 'ro', reset: 7 } }));
  }
}
${exporting}`;
const IMPORT = "import { PciCard, registerMap } from 'ghostcard';";
const TYPED = "import { type CardEnvironment, PciCard, registerMap } from 'ghostcard';";
const ES_MODULE = IMPORT + card();
const COMMON_JS = "const { PciCard, registerMap } = require('ghostcard');" + card('', 'module.exports = Card;');
const TYPESCRIPT = TYPED + card(': CardEnvironment');
const needs = (condition: string): string => `if (!(${condition})) throw new Error('not so');\n`;
const META = needs("import.meta.url.includes('/cards/')");
const AWAIT = `const waited: number = await Promise.resolve(3);\n${needs('waited === 3')}`;
const PATHS = `import { other } from './other.js';\nimport { shared } from '@shared/value';\n${needs('other + shared === 11')}`;
const ENUM = `enum Mode { A = 1, B }\nnamespace N { export const x = 2; }\n${needs('Mode.B + N.x === 4')}`;

const FILES = {
  'plain.mjs': ES_MODULE,
  'plain.cjs': COMMON_JS,
  'await.mjs': AWAIT.replace(': number', '') + ES_MODULE,
  'typed.ts': TYPESCRIPT,
  'typed.mts': TYPESCRIPT,
  'typed.cts': TYPESCRIPT,
  'enum.ts': ENUM + TYPESCRIPT,
  'paths.ts': PATHS + TYPESCRIPT,
  'paths.mts': PATHS + TYPESCRIPT,
  'meta.ts': META + AWAIT + TYPESCRIPT,
  'meta.mts': META + AWAIT + TYPESCRIPT,
  'function.ts': `${TYPED}${card(': CardEnvironment', 'export default (environment: CardEnvironment) => new Card(environment);')}`,
};
const JAVASCRIPT = { module: ES_MODULE, commonjs: COMMON_JS };
const OTHERS = {
  'other.ts': 'export const other: number = 6;\n',
  'shared/value.ts': 'export const shared: number = 5;\n',
  'tsconfig.json': {
    compilerOptions: { module: 'nodenext', target: 'es2022', paths: { '@shared/*': ['./shared/*'] } },
  },
};

describe.each(['module', 'commonjs'] as const)('in a package of type %s', (type) => {
  const folder = join(installed, 'cards', type);
  const files = { ...FILES, 'plain.js': JAVASCRIPT[type] };
  beforeAll(() => write(folder, { ...files, ...OTHERS, 'package.json': { type } }));

  it.each(Object.keys(files))('a card is served from %s', async (name) => {
    const socket = join(folder, `${name}.sock`);
    const serving = execa('node', [CLI, 'serve', '--card', `./${name}`, '--socket', socket], {
      ...{ cwd: folder, all: true, reject: false, timeout: 30_000 },
      env: { GHOSTCARD_CACHE: join(installed, 'cache') },
    });
    serving.all.on('data', (text: Buffer) => text.includes('is served at') && serving.kill('SIGINT'));
    const { all, exitCode } = await serving;
    expect(all).toBe(`${name.split('.')[0]} is served at ${socket}\nstopped`);
    expect(exitCode).toBe(0);
  });
});

it.each([
  ['card.cjs', "module.exports = require('ghostcard');"],
  ['card.mjs', "export { PciCard as default } from 'ghostcard';"],
  ['card.ts', "export { ReferenceCard as default } from 'ghostcard/cards';"],
])('says where to install ghostcard when %s, which is elsewhere, does not find it', async (name, text) => {
  const folder = join(installed, '../elsewhere');
  write(folder, { [name]: text });
  const { all, exitCode } = await execa('node', [CLI, 'serve', '--card', name, '--socket', join(folder, 'socket')], {
    ...{ cwd: folder, all: true, reject: false, timeout: 30_000 },
    env: { GHOSTCARD_CACHE: join(installed, 'cache') },
  });
  expect(all).toBe(
    `ghostcard: --card ${name}: it imports ghostcard, which is not installed where the file is. In ${folder} or a folder ` +
      'above it: npm install ghostcard (or the file ghostcard-VERSION.tgz), and then npx ghostcard there',
  );
  expect(exitCode).toBe(2);
});
