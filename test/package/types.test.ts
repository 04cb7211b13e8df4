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

/** Calls with a mistyped name, and the names that the compiler's message has instead. */
const MISTYPED: readonly [string, readonly string[]][] = [
  ["registers.get('STATUS.BSUY')", ['"STATUS.BUSY"', '"STATUS.DONE"', '"STATUS.ERROR"']],
  ["registers.set('STAUTS.DONE', 1)", ['"STATUS.DONE"']],
  ["registers.get('SORUCE')", ['"SOURCE"']],
  ["registers.set('XONTROL', 1)", ['"CONTROL"', '"COUNT"', '"SOURCE"', '"STATUS"', inQueue('A'), inQueue('B')]],
  ["registers.onWrite('COTNROL', () => {})", ['"CONTROL"', '"COUNT"']],
  ["registers.onRead('STATUS.BUSY', () => 0)", ['"STATUS"']],
  ["registers.register('COUNT.N')", ['"CONTROL"', '"COUNT"']],
  ["registers.get('QUEUE[1].C')", ['"QUEUE[1].A"', '"QUEUE[1].B"']],
  ["registers.get('QUEUE.A')", [inQueue('A')]],
  ["registers.block('QUEUES', 0)", ['"QUEUE"']],
  ["registers.block('QUEUE', 0).get('C')", ['"A"', '"B"']],
  ["registers.register('STATUS').get('BSUY')", ['"BUSY"', '"DONE"', '"ERROR"']],
  ["driver.read('STATSU')", ['"STATUS"']],
  ["driver.write('CONTORL', 1)", ['"CONTROL"', '"COUNT"']],
];
const MISTYPED_CARD = `
import { type InProcessHost, type RegisterFile, registerMap } from 'ghostcard';

const MAP = registerMap({
  CONTROL: { offset: 0x0, access: 'rw', fields: { START: [0] } },
  STATUS: { offset: 0x4, access: 'ro', fields: { BUSY: [0], ERROR: [1], DONE: [2] } },
  SOURCE: { offset: 0x8, width: 64, access: 'rw' },
  COUNT: { offset: 0x10, access: 'rw' },
  QUEUE: { offset: 0x100, stride: 8, count: 2, registers: { A: { offset: 0, access: 'rw' }, B: { offset: 4, access: 'rw' } } },
});
declare const registers: RegisterFile<typeof MAP.spec>;
const driver = (undefined as unknown as InProcessHost).registers(0, MAP);
${MISTYPED.map(([call]) => `${call};`).join('\n')}
`;

function inQueue(name: string): string {
  return `\`QUEUE[\${number}].${name}\``;
}

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

beforeAll(() => write(folder, { 'card.mts': CARD, 'test.mts': TEST, 'card.cts': CARD, 'mistyped.mts': MISTYPED_CARD }));

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

  it('names the registers and fields near a mistyped one', async () => {
    const tsc = join(installed, 'node_modules', compiler, 'bin/tsc');
    const { text } = await run(folder, 'node', [tsc, ...STRICT, '--module', 'nodenext', 'mistyped.mts']);
    const messages = text.matchAll(/TS2345: Argument of type '.*' is not assignable to parameter of type '(.*)'/g);
    const named = [...messages].map(([, names]) => names!.split(' | ').sort());
    expect(named, text).toEqual(MISTYPED.map(([, names]) => names));
  });
});
