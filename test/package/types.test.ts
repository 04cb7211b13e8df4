/** The declarations, under usual options of two compilers. */
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { run, write } from './project';

const { installed } = inject('package');
const folder = join(installed, 'types');

const CARD = `
import { type CardEnvironment, InProcessHost, PciCard, registerMap } from 'ghostcard';
import { ReferenceCard } from 'ghostcard/cards';
import { Link } from 'ghostcard/dma';
import { provision } from 'ghostcard/guest';
import { readTrace } from 'ghostcard/instrumentation';

export const MAP = registerMap({ ID: { offset: 0, access: 'ro', reset: 7, fields: { LOW: [0] } } });
export class Card extends PciCard {
  readonly registers = this.registerBar(0, MAP);
  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00 }, environment);
  }
}
export const low: number = new InProcessHost(new Card()).registers(0, MAP).read('ID');
export const others = [readTrace, provision, Link, ReferenceCard];
// @ts-expect-error -- for tools of ghostcard only
void new Card().inspection;
`;
/** Vitest's own declarations for CommonJS modules need skipLibCheck under node16. */
const TEST = `
import { expect, test } from 'ghostcard/vitest';
import { Card } from './card.mjs';

test('a card in a guest', async ({ guest }) => {
  const { card } = await guest.plug(Card, { driver: 'vfio-pci' });
  expect(card).toHaveRegister('ID', 7);
  expect(card).not.toHaveRegister('ID.LOW', 0);
  // @ts-expect-error -- there is no such register
  expect(card).toHaveRegister('IDD', 7);
  expect(await guest.run(['true'])).toSucceed();
  await expect(guest.run(['false'])).resolves.toExitWith(1);
  await expect(guest.run(['false'])).rejects.toThrow('never');
});
`;

const STRICT = ['--noEmit', '--strict', '--target', 'es2022', '--types', 'node', '--skipLibCheck', 'false'];
const OPTIONS = [
  [
    '--noUnusedLocals',
    '--noPropertyAccessFromIndexSignature',
    '--exactOptionalPropertyTypes',
    '--noUncheckedIndexedAccess',
  ],
  ['--verbatimModuleSyntax', '--erasableSyntaxOnly', '--isolatedModules'],
];
const MODULES = [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
];

beforeAll(() => write(folder, { 'card.mts': CARD, 'test.mts': TEST, 'card.cts': CARD }));

describe.each(['typescript', 'typescript-7'])('%s', (compiler) => {
  it.each(MODULES)('takes the declarations with module %s and resolution %s', async (module, resolution) => {
    const tsc = join(installed, 'node_modules', compiler, 'bin/tsc');
    const modules = ['--module', module!, '--moduleResolution', resolution!];
    const errors = OPTIONS.flatMap((options) => {
      // An import in a CommonJS module is no verbatim syntax.
      const files = ['test.mts', ...(options.includes('--verbatimModuleSyntax') ? [] : ['card.cts'])];
      return [run(folder, 'node', [tsc, ...STRICT, ...modules, ...options, ...files])];
    });
    for (const { text, exitCode } of await Promise.all(errors)) expect([exitCode, text]).toEqual([0, '']);
  });
});
