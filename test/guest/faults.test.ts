/**
 * Each kind of fault fires in a guest, and the reference driver reacts: the table in docs/faults.md, row by row.
 * `GHOSTCARD_FILL_TABLE=1` writes the results into the document; without it, a document that differs fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { type DriverName, expect, guestTest } from '../../harness';

const DOCUMENT = join(__dirname, '..', '..', 'docs', 'faults.md');
const BEGIN = '<!-- filled by test/guest/faults.test.ts: do not edit -->';
const END = '<!-- end of the filled part -->';

const MS = 1_000_000;

/** The line of JSON that gc-survive ends with. */
interface Survival {
  readonly ok: boolean;
  readonly driver: string;
  readonly outcome: 'survived' | 'reported' | 'nothing-noticed';
  readonly confirmed: number;
  readonly rounds: number;
  readonly noticed: Readonly<Record<string, { readonly times: number; readonly remedy: string }>>;
  readonly error?: string;
}

/** A fault, and what is expected of the driver. */
interface Case {
  /** How it is declared, for the table. */
  readonly what: string;
  readonly driver: DriverName;
  readonly irq: 'intx' | 'msix' | 'line';
  /** The first is the tested one. */
  readonly faults: readonly [FaultDeclaration, ...FaultDeclaration[]];
  readonly outcome: Survival['outcome'];
  /** Events of gc-survive that the driver must report. */
  readonly notices?: readonly string[];
  /** When it notices nothing: why it cannot. */
  readonly unknowable?: string;
  /** A surprise removal, of which the guest is notified. */
  readonly isPulled?: boolean;
}

const uio = { driver: 'uio_pci_generic', irq: 'intx' } as const;
const vfio = { driver: 'vfio-pci', irq: 'msix' } as const;
const platform = { driver: 'uio_pdrv_genirq', irq: 'line' } as const;

const survives = (...notices: string[]) => ({ outcome: 'survived', notices }) as const;
const reports = (...notices: string[]) => ({ outcome: 'reported', notices }) as const;
const cannotKnow = (unknowable: string) => ({ outcome: 'nothing-noticed', unknowable }) as const;

const H2C0 = { channel: 'H2C0', role: 'data' } as const;
const C2H0 = { channel: 'C2H0', role: 'data' } as const;
/** Keeps a transfer in progress meanwhile. */
const meanwhile: FaultDeclaration = {
  fault: 'dma-delayed',
  name: 'meanwhile',
  ...H2C0,
  occurrence: 3,
  delayNs: 300 * MS,
};

const CASES: readonly Case[] = [
  // Interrupts. On INTx vector 0 is the line; with MSI-X it is H2C0, and 2 is C2H0.
  {
    ...vfio,
    what: 'a message',
    faults: [{ fault: 'interrupt-dropped', vector: 0, occurrence: 3 }],
    ...survives('interrupt-lost'),
  },
  { ...uio, what: 'INTx', faults: [{ fault: 'interrupt-dropped', occurrence: 3 }], ...survives('interrupt-lost') },
  {
    ...platform,
    what: 'the line of a platform device',
    faults: [{ fault: 'interrupt-dropped', occurrence: 3 }],
    ...survives('interrupt-lost'),
  },
  {
    ...vfio,
    what: 'a message, by 1 s',
    faults: [{ fault: 'interrupt-delayed', vector: 2, occurrence: 10, delayNs: 1000 * MS }],
    ...survives('interrupt-lost', 'interrupt-late'),
  },
  {
    ...uio,
    what: 'INTx, by 1 s',
    faults: [{ fault: 'interrupt-delayed', occurrence: 3, delayNs: 1000 * MS }],
    ...survives('interrupt-lost'),
  },
  {
    ...vfio,
    what: 'a message, again after 50 ms',
    faults: [{ fault: 'interrupt-duplicated', vector: 0, occurrence: 10, gapNs: 50 * MS }],
    ...survives('interrupt-surplus'),
  },
  {
    ...uio,
    what: 'INTx, 1 s longer than its cause',
    faults: [
      { fault: 'interrupt-duplicated', occurrence: 3, gapNs: 1000 * MS },
      { ...meanwhile, occurrence: 4 },
    ],
    ...survives('interrupt-surplus'),
  },
  {
    ...vfio,
    what: 'a message, in mid-transfer',
    faults: [{ fault: 'interrupt-spurious', on: 'dma', ...H2C0, occurrence: 3, vector: 0 }, meanwhile],
    ...survives('interrupt-surplus'),
  },
  {
    ...uio,
    what: 'INTx, for 500 ms',
    faults: [{ fault: 'interrupt-spurious', on: 'dma', ...H2C0, occurrence: 3, forNs: 500 * MS }, meanwhile],
    ...survives('interrupt-surplus'),
  },
  {
    ...uio,
    what: 'INTx, for good, while a doorbell is lost',
    faults: [
      { fault: 'interrupt-spurious', on: 'dma', ...H2C0, occurrence: 3, forNs: 3_600_000 * MS },
      { fault: 'write-lost', register: 'H2C[0].DOORBELL', occurrence: 5 },
    ],
    ...survives('interrupt-surplus', 'doorbell-lost'),
  },
  {
    ...vfio,
    what: 'a message, by 500 ms',
    faults: [{ fault: 'interrupt-before-write-back', vector: 0, channel: 'H2C0', occurrence: 3, delayNs: 500 * MS }],
    ...survives('interrupt-early'),
  },
  {
    ...uio,
    what: 'INTx, by 500 ms',
    faults: [{ fault: 'interrupt-before-write-back', occurrence: 2, delayNs: 500 * MS }],
    ...survives('interrupt-early'),
  },

  // Order of what the card writes, and DMA.
  {
    ...vfio,
    what: 'by 200 ms',
    faults: [{ fault: 'write-back-before-data', channel: 'C2H0', occurrence: 3, delayNs: 200 * MS }],
    ...survives('data-late'),
  },
  {
    ...vfio,
    what: 'data to the host, by 1 s',
    faults: [{ fault: 'dma-delayed', ...C2H0, occurrence: 3, delayNs: 1000 * MS }],
    ...survives('slow'),
  },
  {
    ...vfio,
    what: 'data to the host',
    faults: [{ fault: 'dma-truncated', ...C2H0, occurrence: 3, bytes: 1000 }],
    ...survives('data-wrong', 'channel-reset'),
  },
  {
    ...platform,
    what: 'data to the card',
    faults: [{ fault: 'dma-truncated', ...H2C0, occurrence: 3, bytes: 1000 }],
    ...survives('data-wrong', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'data to the card: one bit',
    faults: [{ fault: 'dma-corrupted', channel: 'H2C1', role: 'data', occurrence: 3, byte: 4321 }],
    ...survives('data-wrong', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'data to the card: Completer Abort',
    faults: [{ fault: 'dma-failed', ...H2C0, reason: 'completer-abort', occurrence: 3 }],
    ...survives('channel-reset'),
  },
  {
    ...vfio,
    what: 'a descriptor: its length',
    faults: [{ fault: 'dma-corrupted', channel: 'H2C0', role: 'descriptor', access: 'read', occurrence: 3, byte: 7 }],
    ...survives('descriptor-misread'),
  },
  {
    ...vfio,
    what: 'each descriptor from the third on: its length',
    faults: [
      {
        fault: 'dma-corrupted',
        channel: 'H2C0',
        role: 'descriptor',
        access: 'read',
        occurrence: { from: 3, to: 1_000_000 },
        byte: 7,
      },
    ],
    ...reports('descriptor-misread', 'channel-reset', 'soft-reset', 'function-reset'),
  },
  {
    ...vfio,
    what: 'what a descriptor says was moved',
    faults: [{ fault: 'dma-corrupted', channel: 'H2C0', role: 'descriptor', access: 'write', occurrence: 4, byte: 1 }],
    ...survives('transfer-short', 'channel-reset'),
  },
  {
    ...uio,
    what: 'the consumer index of the write-back block',
    faults: [
      { fault: 'dma-corrupted', channel: 'H2C0', role: 'write-back', access: 'write', occurrence: 6, byte: 1 },
      { fault: 'interrupt-dropped', name: 'and no interrupt', occurrence: 'all', mayNotFire: true },
    ],
    ...survives('write-back-late'),
  },
  {
    ...vfio,
    what: 'data to the host',
    faults: [{ fault: 'dma-duplicated', ...C2H0, occurrence: 3 }],
    ...cannotKnow('the same bytes are in the same place'),
  },
  {
    ...vfio,
    what: 'one that was handed back a lap ago',
    faults: [{ fault: 'descriptor-stale', channel: 'H2C0', occurrence: 6 }],
    ...survives('descriptor-misread'),
  },

  // What the driver reads and writes.
  {
    ...uio,
    what: 'STATUS, 3 times',
    faults: [{ fault: 'reads-all-ones', register: 'H2C[0].STATUS', occurrence: 3, reads: 3 }],
    ...survives('all-ones'),
  },
  {
    ...uio,
    what: 'the link is down for 300 ms',
    faults: [{ fault: 'reads-all-ones', register: 'H2C[0].STATUS', occurrence: 5, forNs: 300 * MS, linkDown: true }],
    ...survives('reset', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'the link is down for 300 ms',
    faults: [{ fault: 'reads-all-ones', register: 'H2C[0].STATUS', occurrence: 5, forNs: 300 * MS, linkDown: true }],
    ...survives('reset', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'a doorbell',
    faults: [{ fault: 'write-lost', register: 'H2C[0].DOORBELL', occurrence: 3 }],
    ...survives('doorbell-lost'),
  },
  {
    ...uio,
    what: 'RING_SIZE, at set-up',
    faults: [{ fault: 'write-lost', register: 'C2H[0].RING_SIZE' }],
    ...survives('write-lost'),
  },
  {
    ...vfio,
    what: 'the doorbell takes 300 ms',
    faults: [{ fault: 'device-slow', register: 'H2C[0].DOORBELL', on: 'write', occurrence: 3, delayNs: 300 * MS }],
    ...survives('slow'),
  },
  {
    ...vfio,
    what: 'BUSY is 1, for 250 ms',
    faults: [{ fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 1, occurrence: 4, forNs: 250 * MS }],
    ...survives('stuck', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'BUSY is 1, for good',
    faults: [{ fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 1, occurrence: 4 }],
    ...reports('stuck', 'channel-reset', 'soft-reset', 'function-reset'),
  },
  {
    ...platform,
    what: 'BUSY is 1, for good',
    faults: [{ fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 1, occurrence: 4 }],
    ...reports('stuck', 'channel-reset', 'soft-reset'),
  },
  {
    ...vfio,
    what: 'a doorbell, held for 5 s',
    faults: [{ fault: 'writes-posted', register: 'H2C[0].DOORBELL', occurrence: 3, holdNs: 5000 * MS }],
    ...survives('doorbell-late'),
  },

  // The card as a whole.
  {
    ...uio,
    what: 'data to the card',
    faults: [{ fault: 'reset-in-transfer', channel: 'H2C0', occurrence: 3 }],
    ...survives('reset', 'channel-reset'),
  },
  {
    ...vfio,
    what: 'data to the host',
    faults: [{ fault: 'reset-in-transfer', channel: 'C2H0', occurrence: 3 }],
    ...survives('reset', 'channel-reset'),
  },
  {
    ...platform,
    what: 'data to the card',
    faults: [{ fault: 'reset-in-transfer', channel: 'H2C0', occurrence: 3 }],
    ...reports('gone'),
  },
  {
    ...uio,
    what: 'in mid-transfer',
    faults: [{ fault: 'surprise-removal', on: 'dma', ...C2H0, occurrence: 3 }],
    ...reports('gone'),
    isPulled: true,
  },
  {
    ...vfio,
    what: 'in mid-transfer',
    faults: [{ fault: 'surprise-removal', on: 'dma', ...C2H0, occurrence: 3 }],
    ...reports('gone'),
    isPulled: true,
  },
];

/** For cases without events: a busy machine must not look like a fault. */
const PATIENT = ['--watch', '3000', '--timeout', '15000'];

const test = guestTest({ scope: 'file', hostRoot: false });

describe('the reference driver reports nothing on a working card', () => {
  test.for([
    ['uio_pci_generic', 'intx'],
    ['vfio-pci', 'msi'],
    ['vfio-pci', 'msix'],
    ['uio_dmem_genirq', 'line'],
    ['vfio-platform', 'line'],
  ] as const)('under %s, by %s', async ([driver, irq], { guest }) => {
    await guest.plug(ReferenceCard, { driver });
    const result = await guest.run(['gc-survive', '--irq', irq, ...PATIENT]);
    expect(result).toSucceed();
    expect(result).toPrint('10 rounds of 65536 bytes went to the card and back unchanged');
    expect(result).not.toPrint('survived');
  });
});

describe('the reference driver, on a card with a fault', () => {
  const found = new Map<Case, Survival>();

  test.for(CASES.map((each) => [titleOf(each), each] as const))('%s', async ([, each], { guest }) => {
    const { driver, irq, faults, outcome, notices = [], isPulled = false } = each;
    const plugged = await guest.plug(ReferenceCard, { driver, faults });
    const patience = each.unknowable === undefined ? [] : PATIENT;
    const running = await guest.start(['gc-survive', '--irq', irq, '--json', ...patience]);
    if (isPulled) {
      // The driver waits for the link to come up again, and has the card open when the guest is notified.
      await expect.poll(() => plugged.faults[0]!.times, { timeout: 20_000 }).toBe(1);
      await plugged.surpriseRemove();
    }
    const result = await running.result;
    const text = result.stderr.toString();
    const survival = JSON.parse(result.stdout.toString().trimEnd().split('\n').at(-1)!) as Survival;
    found.set(each, survival);
    expect(survival.outcome, text).toBe(outcome);
    expect(result).toExitWith(outcome === 'reported' ? 1 : 0);
    expect(survival.confirmed < survival.rounds).toBe(outcome === 'reported');
    expect(Object.keys(survival.noticed), text).toEqual(expect.arrayContaining([...notices]));
    for (const event of notices) expect(text).toContain(`${outcome} ${event} (`);
    if (outcome === 'reported') expect(text).toContain('the data of the others are lost');
    if (outcome === 'nothing-noticed') expect(text).toContain('cannot be noticed');
  });

  test('has its rows in docs/faults.md', () => {
    const document = readFileSync(DOCUMENT, 'utf8');
    const [before, rest = ''] = document.split(BEGIN);
    const [table, after] = rest.split(END);
    if (process.env['GHOSTCARD_FILL_TABLE'] !== undefined) {
      writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${markdown(found)}\n\n${END}${after}`);
    } else {
      expect(table?.trim()).toBe(markdown(found));
    }
  });
});

function titleOf({ faults: [{ fault }], what, driver, outcome, notices = [] }: Case): string {
  const said = outcome === 'nothing-noticed' ? 'cannot be known' : `is ${outcome}`;
  return `${driver}: ${fault} (${what}) ${said}${notices.length > 0 ? `, as ${notices.join(', ')}` : ''}`;
}

/** The tested events, and the driver's own report, without events that a busy machine adds. */
function markdown(found: ReadonlyMap<Case, Survival>): string {
  const remedies = new Map<string, string>();
  const rows = CASES.map((each) => {
    const { faults, what, driver, notices = [], unknowable } = each;
    const survival = found.get(each);
    for (const event of notices) remedies.set(event, survival?.noticed[event]?.remedy ?? 'not noticed');
    const outcome = unknowable === undefined ? (survival?.outcome ?? 'not tried') : `cannot know: ${unknowable}`;
    return [faults[0].fault, what, driver, notices.join(', ') || 'nothing', outcome];
  });
  return [
    table(['Fault', 'Of what, or how', 'Under', 'The driver notices', 'Outcome'], rows),
    'What it does about each:',
    table(['Noticed', 'The driver'], [...remedies].sort()),
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
