/**
 * The table in docs/drivers.md, row by row as measured in guests of each architecture. `GHOSTCARD_FILL_TABLE=1` writes the
 * results into the document; without it, a document that differs fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DRIVER_MODES, type DriverMode } from '../../cli/guest/driver-modes';
import { type CardNotice } from '../../instrumentation/trace';
import { GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { runApp, startRig } from '../support/rig';

const DOCUMENT = join(__dirname, '..', '..', 'docs', 'drivers.md');
const BEGIN = '<!-- filled by test/guest/driver-modes.test.ts: do not edit -->';
const END = '<!-- end of the filled part -->';

/** What gc-mode and gc-stray report of a mode, in the words of the table. */
interface Finding {
  readonly interrupts: string;
  readonly memoryFrom: string;
  readonly cardSees: string;
  readonly strayDma: string;
  readonly reset: string;
}

const COLUMNS: readonly (readonly [keyof Finding, string])[] = [
  ['interrupts', 'Interrupts'],
  ['memoryFrom', 'DMA memory from'],
  ['cardSees', 'The card sees'],
  ['strayDma', 'A stray DMA'],
  ['reset', 'Reset'],
];

const WORDS: Readonly<Record<string, string>> = {
  program: 'the program: hugepages',
  kernel: 'the kernel',
  changed: 'hits memory',
  refused: 'is refused',
};
const inWords = (said: unknown): string => WORDS[String(said)] ?? String(said);

async function findOut(arch: GuestArch, { driver, iommu }: DriverMode): Promise<Finding> {
  const notices: CardNotice[] = [];
  await using rig = await startRig({ arch, iommu, onNotice: (_, notice) => notices.push(notice) });
  await rig.bind('card', driver);
  const mode = (await runApp(rig, 'card', ['gc-mode'])) as unknown as Record<string, string>;
  const stray = (await runApp(rig, 'card', ['gc-stray'])) as unknown as Record<string, string>;
  await rig.settled();
  expect(notices).toEqual([]);
  return {
    interrupts: mode['interrupts_by']!,
    memoryFrom: inWords(mode['memory_of']),
    cardSees: inWords(mode['card_sees']),
    strayDma: inWords(stray['stray_write']),
    reset: inWords(mode['reset']),
  };
}

describe('each way to drive a card', () => {
  const found = new Map<string, Finding>();

  describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
    it.each(DRIVER_MODES)('$name is measured', async (mode) => {
      const finding = await findOut(arch, mode);
      found.set(`${mode.name} ${arch}`, finding);
      expect(finding.strayDma).toBe(mode.iommu ? 'is refused' : 'hits memory');
      expect(finding.cardSees === 'IOVA').toBe(mode.iommu);
    });
  });

  it('has its row in docs/drivers.md', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const [before, rest = ''] = text.split(BEGIN);
    const [table, after] = rest.split(END);
    if (process.env['GHOSTCARD_FILL_TABLE'] !== undefined) {
      writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${markdown(found)}\n\n${END}${after}`);
    } else {
      expect(table?.trim()).toBe(markdown(found));
    }
  });
});

/** Where the architectures differ, with the name of each. */
function markdown(found: ReadonlyMap<string, Finding>): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const cell = (mode: DriverMode, column: keyof Finding): string => {
    const each = GUEST_ARCHES.map((arch) => ({
      arch,
      said: found.get(`${mode.name} ${arch}`)?.[column] ?? 'not tried',
    }));
    const distinct = new Set(each.map(({ said }) => said));
    return distinct.size === 1 ? each[0]!.said : each.map(({ arch, said }) => `${arch}: ${said}`).join('; ');
  };
  return [
    row(['Way', ...COLUMNS.map(([, title]) => title)]),
    row(['---', ...COLUMNS.map(() => '---')]),
    ...DRIVER_MODES.map((mode) => row([mode.name, ...COLUMNS.map(([column]) => cell(mode, column))])),
  ].join('\n');
}
