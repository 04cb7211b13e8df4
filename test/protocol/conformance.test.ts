/**
 * The conformance suite, as users run it: `ghostcard conformance` on our own server, and on one in C, which shows that it
 * is for every server. With a fault in the server in C, the case that is about it fails: cases can.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AREAS, type CaseResult, idOf } from '../../instrumentation/conformance';
import { until } from './serving';

const repository = join(__dirname, '..', '..');
const cli = join(repository, 'cli', 'ghostcard.js');
const floors = join(repository, 'test', 'bench', 'native');
const minimalServer = join(floors, 'build', 'minimal-server');
const SLOW_MS = 120_000;
const ids = AREAS.flatMap((area) => area.cases.map((each) => idOf(area, each)));

interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly results: readonly CaseResult[];
}

const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, [cli, 'conformance', ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });

function conformance(...args: readonly string[]): { report: Report; exitCode: number | null } {
  const ended = run('--json', ...args);
  if (ended.stdout === '') throw new Error(`ghostcard conformance has printed no report: ${ended.stderr}`);
  return { report: JSON.parse(ended.stdout) as Report, exitCode: ended.status };
}

/** Cases that failed or were not run, with the reason. */
const unhappy = ({ results }: Report): string[] =>
  results
    .filter(({ outcome }) => outcome === 'failed' || outcome === 'not-run')
    .map(({ id, came }) => `${id}: ${came}`);

beforeAll(() => void execFileSync('make', ['-s', '-C', floors, 'build/minimal-server']), SLOW_MS);

test('every case has a name of its own', () => {
  expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
});

test.each([
  ['the reference card', `${process.execPath} ${cli} serve --card reference --socket {socket}`],
  ['the minimal server in C', `${minimalServer} {socket}`],
])('%s passes every case', { timeout: SLOW_MS }, (_, command) => {
  const { report, exitCode } = conformance('--spawn', command);
  expect(unhappy(report)).toEqual([]);
  expect(report.results.map(({ id }) => id)).toEqual(ids);
  expect(exitCode).toBe(0);
});

test('one server survives all cases', { timeout: SLOW_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gc-conformance-'));
  const socket = join(folder, 'socket');
  const server = spawn(minimalServer, [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    server.kill();
    rmSync(folder, { recursive: true });
  });
  let output = '';
  server.stdout.on('data', (text: Buffer) => (output += text.toString()));
  await until('the server to listen', () => output.includes('listening'));
  const { report } = conformance('--socket', socket);
  expect(unhappy(report)).toEqual([]);
  expect(server.exitCode).toBe(null);
});

describe('a server that', () => {
  test.each([
    ['accepts-any-major', 'negotiation/major-1'],
    ['accepts-parts-of-maps', 'dma/unmap-part-middle'],
    ['blocks-on-full-eventfd', 'interrupts/full-eventfd'],
    ['capabilities-loop', 'configuration/capabilities'],
    ['closes-on-oversized', 'messages/write-beyond-the-limit'],
    ['connects-any-descriptor', 'interrupts/no-eventfd-closed-socket'],
    ['crashes-on-cut-write', 'regions/write-claims-more'],
    ['crashes-on-half-a-message', 'connections/goes-during-dma-map'],
    ['echoes-no-id', 'messages/id-1'],
    ['error-with-payload', 'messages/unknown-command-0'],
    ['ignores-booleans', 'interrupts/trigger-some'],
    ['ignores-end-of-sending', 'connections/half-open-in-session'],
    ['keeps-maps-of-old-clients', 'dma/gone-with-the-client'],
    ['leaks-interrupts', 'descriptors/replaced-interrupt'],
    ['leaks-maps', 'descriptors/map-and-unmap'],
    ['needs-no-version', 'negotiation/first-region-read'],
    ['no-limit-of-maps', 'dma/more-than-max-dma-maps'],
    ['overlapping-maps', 'dma/overlap-tail'],
    ['replies-to-no-reply', 'ordering/no-reply-region-write'],
    ['short-reads', 'regions/read-4'],
    ['takes-multi-unasked', 'regions/multi-not-agreed'],
    ['triggers-neighbour', 'interrupts/sparse'],
    ['wants-whole-messages', 'messages/split-dma-map'],
    ['wrapping-offsets', 'regions/read-outside'],
    ['wrong-bar-size', 'configuration/bar-sizes'],
    ['wrong-region-index', 'information/regions'],
  ])('has the fault %s fails %s', { timeout: SLOW_MS }, (fault, id) => {
    const { report, exitCode } = conformance(
      '--spawn',
      `${minimalServer} {socket} ${fault}`,
      '--only',
      id,
      '--timeout',
      '1',
    );
    expect(report.results).toMatchObject([{ id, outcome: 'failed', came: expect.any(String) }]);
    expect(exitCode).toBe(1);
  });

  test('does not start is an error that says what it printed', () => {
    const ended = run('--spawn', 'echo no such device >&2; exit 3; {socket}');
    expect(ended.stderr).toMatch(/the server ended \(3\) before it made its socket; it printed: no such device/);
    expect(ended.status).toBe(125);
  });

  test('ends with its client is started again for each case', { timeout: SLOW_MS }, () => {
    const command = `${minimalServer} {socket} ends-with-its-client`;
    const { report } = conformance('--spawn', command, '--only', 'regions', '--only', 'descriptors');
    expect(unhappy(report)).toEqual([]);
    expect(report.passed).toBeGreaterThan(30);
  });
});

test('a failed case is printed with what was sent, what was due by which section, and what came', () => {
  const command = `${minimalServer} {socket} wrong-bar-size`;
  const folder = mkdtempSync(join(tmpdir(), 'gc-conformance-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'results.xml');
  const ended = run('--spawn', command, '--only', 'configuration', '--junit', file);
  expect(ended.stdout).toContain(
    [
      'FAILED configuration/bar-sizes',
      '  expected: each BAR to which ones are written shows the size of its region, rounded up to a power of two; its type stays',
      '  by:       PCI 6.2.5.1',
      '  came:     BAR 0 shows 32768 bytes; its region has 65536',
      '    client 1 > VERSION, id 1, ',
    ].join('\n'),
  );
  expect(ended.stdout).toMatch(/^configuration +12 +10 +1 +1$/m);
  const junit = readFileSync(file, 'utf8');
  expect(junit).toContain('<testsuite name="configuration" tests="12" failures="1" skipped="1"');
  expect(junit).toContain('<failure message="BAR 0 shows 32768 bytes; its region has 65536">');
});

test.each([
  [['--spawn', 'x {socket}', '--socket', 'y'], /either --socket.*or --spawn/],
  [['--spawn', 'x'], /has no \{socket\}/],
  [['--socket', 'y', '--only', 'no-such'], /there is no area or case no-such: --list/],
])('%j is wrong usage', (args, message) => {
  const ended = run(...args);
  expect(ended.stderr).toMatch(message);
  expect(ended.status).toBe(2);
});

test('--list prints every case with its section', () => {
  const lines = run('--list').stdout.trim().split('\n');
  expect(lines).toHaveLength(ids.length);
  expect(lines).toContainEqual('messages/id-1: the message id 1 is echoed, also in an error reply (Header)');
});
