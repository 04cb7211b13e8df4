/** `ghostcard replay` and `ghostcard trace to-test` in a user's project, with ghostcard in its node_modules. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { TraceRecorder, traceOf } from '../../instrumentation/trace';
import { RandomDriver } from '../support/random-driver';

const run = promisify(execFile);
const repository = join(__dirname, '..', '..');
/** A Vitest of its own, on a busy machine. */
const SLOW_MS = 120_000;

const CONFIG = 7;
const COMMAND_REGISTER = 4;
const SCRATCH = 0x0c;

let project: string;
beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'ghostcard-project-'));
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(repository, join(project, 'node_modules', 'ghostcard'));
  symlinkSync(join(repository, 'node_modules', 'vitest'), join(project, 'node_modules', 'vitest'));
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }');
  writeCard('');
  await record('run.trace', 1);
  await record('two.trace', 2);
});
afterAll(() => rmSync(project, { recursive: true }));

/** The reference card in a file of the user's, with something changed. */
function writeCard(change: string): void {
  writeFileSync(
    join(project, 'my-card.ts'),
    `import { ReferenceCard, type ReferenceCardOptions } from 'ghostcard/cards';

export default class MyCard extends ReferenceCard {
  constructor(options: ReferenceCardOptions = {}) {
    super(options);
    ${change}
  }
}
`,
  );
}

async function record(name: string, cards: number): Promise<void> {
  const recorder = new TraceRecorder(join(project, name));
  for (let count = 0; count < cards; count++) {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock, addressBits: 40 });
    traceOf(card).record(recorder, { name: 'reference' });
    await new RandomDriver(card, clock, 7).run(200);
    const { device } = traceOf(card);
    device.writeRegion(CONFIG, COMMAND_REGISTER, Uint8Array.of(2, 0));
    device.readRegion(0, SCRATCH, new Uint8Array(4));
    card.close();
  }
  recorder.close();
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The variables of this Vitest would confuse the one that a test starts. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$)/.test(name)));

async function node(...args: string[]): Promise<Outcome> {
  try {
    return { code: 0, ...(await run(process.execPath, args, { cwd: project, env })) };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

const ghostcard = (...args: string[]) => node(join(repository, 'cli', 'ghostcard.js'), ...args);
const vitest = (file: string) => node(join('node_modules', 'vitest', 'vitest.mjs'), 'run', file);
const ANOTHER_ID = `this.registers.onRead('SCRATCH', (stored) => stored ^ 1);`;

test('a card that does the same: exit code 0, and how much it was', { timeout: SLOW_MS }, async () => {
  writeCard('');
  const { code, stdout } = await ghostcard('replay', 'run.trace', '--card', './my-card.ts,addressBits=40');
  expect(stdout).toMatch(
    /^reference does what the trace says: (\d+) events\n\1 of \1 events replayed: .* ms of device time in \d+ ms\n$/,
  );
  expect(code).toBe(0);
});

test('a card that diverges: exit code 1, and the first divergence', { timeout: SLOW_MS }, async () => {
  writeCard(ANOTHER_ID);
  const asText = await ghostcard('replay', 'run.trace', '--card', './my-card.ts', '--all');
  expect(asText.code).toBe(1);
  expect(asText.stdout).toMatch(/^reference diverges from the trace at event \d+ of \d+:\n/);
  expect(asText.stdout).toMatch(/ {2}- trace: .* read SCRATCH .*\n {2}\+ card: {2}.* read SCRATCH /);
  const { code, stdout } = await ghostcard('replay', 'run.trace', '--card', './my-card.ts', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    same: false,
    card: 'reference',
    divergences: [{ report: expect.any(Array) as unknown }],
  });
});

test('a trace of two cards needs the number of one of them', { timeout: SLOW_MS }, async () => {
  writeCard('');
  const unsaid = await ghostcard('replay', 'two.trace', '--card', './my-card.ts');
  expect(unsaid.code).toBe(2);
  expect(unsaid.stderr).toBe(
    'ghostcard: two.trace: the trace has 2 cards: say which by its number; there are 1 (reference), 2 (reference) (--of)\n',
  );
  expect((await ghostcard('replay', 'two.trace', '--card', './my-card.ts,addressBits=40', '--of', '2')).code).toBe(0);
});

test('a trace becomes a test, which fails when the card diverges', { timeout: SLOW_MS }, async () => {
  writeCard('');
  const arguments_ = ['trace', 'to-test', 'two.trace', '--of', '1', '--card', './my-card.ts,addressBits=40'];
  const written = await ghostcard(...arguments_, '--output', 'bug.test.ts');
  expect(written.stderr).toBe('');
  expect(written.stdout).toBe('bug.test.ts replays bug.trace beside it: npx vitest run bug.test.ts\nIt passes now.\n');
  expect(readFileSync(join(project, 'bug.test.ts'), 'utf8')).toContain(
    'replay(trace, (environment) => new Card({ addressBits: 40, ...environment }))',
  );
  expect(readFileSync(join(project, 'bug.test.ts'), 'utf8')).toContain(
    "import { readTrace, replay } from 'ghostcard/instrumentation';\n",
  );
  expect(await vitest('bug.test.ts')).toMatchObject({ code: 0 });

  writeCard(ANOTHER_ID);
  const failed = await vitest('bug.test.ts');
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('reference diverges from the trace');
  expect(failed.stderr).toContain('read SCRATCH');
});

test('a test of a built-in card overwrites nothing without --force', { timeout: SLOW_MS }, async () => {
  const arguments_ = ['trace', 'to-test', 'run.trace', '--card', 'reference,addressBits=40', '--output'];
  expect(await ghostcard(...arguments_, 'built-in.test.ts')).toMatchObject({ code: 0 });
  expect(readFileSync(join(project, 'built-in.test.ts'), 'utf8')).toContain(
    "import { ReferenceCard } from 'ghostcard/cards';\nimport { readTrace, replay } from 'ghostcard/instrumentation';\n",
  );
  expect(await vitest('built-in.test.ts')).toMatchObject({ code: 0 });
  const again = await ghostcard(...arguments_, 'built-in.test.ts');
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('built-in.test.ts exists; --force overwrites it');
  expect(await ghostcard(...arguments_, 'built-in.test.ts', '--force')).toMatchObject({ code: 0 });
  const before = readFileSync(join(project, 'run.trace'));
  const own = await ghostcard(...arguments_, 'run.test.ts', '--force');
  expect(own.stderr).toMatch(/this would overwrite the recording itself, \S*run\.trace; choose another name\n$/);
  expect(readFileSync(join(project, 'run.trace'))).toEqual(before);
  expect((await ghostcard(...arguments_, 'nowhere.ts')).stderr).toContain(
    'Vitest finds files whose names end in .test.ts',
  );
  expect(existsSync(join(project, 'nowhere.ts'))).toBe(false);
});

test('a trace replaces the driver of a changed card, and the run is recorded', { timeout: SLOW_MS }, async () => {
  writeCard(ANOTHER_ID);
  const card = ['--card', './my-card.ts,addressBits=40'];
  const driven = await ghostcard('replay', 'run.trace', ...card, '--drive', '--record', 'changed.trace');
  expect(driven.stderr).toBe('');
  expect(driven.stdout).toMatch(/^driven to the end: \d+ events/);
  expect(driven.stdout).toContain('recorded in changed.trace');
  expect(await ghostcard('replay', 'changed.trace', ...card)).toMatchObject({ code: 0 });
  expect((await ghostcard('replay', 'run.trace', ...card, '--record', 'x.trace')).code).toBe(2);
  const before = readFileSync(join(project, 'run.trace'));
  const own = await ghostcard('replay', 'run.trace', ...card, '--drive', '--record', './run.trace');
  expect(own.stderr).toContain('that is the recording itself (run.trace); choose another name');
  expect(readFileSync(join(project, 'run.trace'))).toEqual(before);
  const other = await ghostcard('replay', 'run.trace', ...card, '--drive', '--record', 'my-card.ts');
  expect(other.stderr).toContain('this file exists and is not a trace');
});
