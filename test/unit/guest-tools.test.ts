/** The guest's programs as far as this machine can run them: they build without a warning, and what needs no card works. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { circlesIn } from '../support/circles';

const source = resolve(__dirname, '../../guest-tools');
let out: string;

beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), 'ghostcard-guest-tools-'));
  execFileSync('make', ['-s', '-j2', '-C', source, `OUT=${out}`], { stdio: ['ignore', 'ignore', 'inherit'] });
}, 120_000);
afterAll(() => rmSync(out, { recursive: true }));

const run = (app: string, ...options: string[]) =>
  spawnSync(join(out, 'bin', app), options, { encoding: 'utf8', env: {}, timeout: 10_000 });
const noCard = ['--device', 'ffff:ff:1f.7'];

const programs = (): string[] => readdirSync(join(out, 'bin'));
/** Those for people that drive a card; gc-bench is the guest's end of test/bench, which speaks to it in a way of its own. */
const apps = (): string[] => programs().filter((name) => /^gc-(?!bench$|mark$)/.test(name));

test('every app has its program, and the programs need no shared library', () => {
  const sources = readdirSync(join(source, 'apps')).filter((name) => /^gc-.*\.c$/.test(name));
  const expected = ['ghostcard-host-root', 'ghostcard-processes', ...sources.map((name) => name.slice(0, -2))];
  expect(programs().sort()).toEqual(expected.sort());
  for (const program of [join(out, 'agent'), ...programs().map((app) => join(out, 'bin', app))]) {
    expect(execFileSync('readelf', ['-l', program], { encoding: 'utf8' })).not.toContain('INTERP');
  }
});

test('no file calls another that calls it back', () => {
  const objects = readdirSync(join(out, 'obj'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.o$/.test(file),
  );
  expect(objects.length).toBeGreaterThan(20);
  // POSIX's portable format, a line a symbol: `agent/link.o: gc_link_open T 0 4c`; U is one that is defined elsewhere.
  const rows = execFileSync('nm', ['-A', '-P', '-g', ...objects], { cwd: join(out, 'obj'), encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, object, name, type] = /^(\S+): (\S+) (\w)/.exec(line) ?? [];
      return object && name ? [{ object, name, isWanted: type === 'U' }] : [];
    });
  // Of a name that several programs define (main), nothing says whose is meant.
  const ownersOf = (wanted: string) => rows.filter(({ name, isWanted }) => !isWanted && name === wanted);
  const graph = new Map(objects.map((object): [string, string[]] => [object, []]));
  for (const { object, name, isWanted } of rows) {
    const [owner, another] = isWanted ? ownersOf(name) : [];
    if (owner && !another) graph.get(object)!.push(owner.object);
  }
  expect(graph.get('driver/channel.o')).toContain('driver/registers.o');
  expect(circlesIn(graph)).toEqual([]);
});

test('the CRC-32C that the card is checked against gives the published values', () => {
  const { status, stdout } = run('gc-crc', '--self-test', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ app: 'gc-crc', ok: true, checks: 7, failed: 0 });
});

test('without a device every app ends with code 2, the cause for people and for machines', () => {
  for (const app of apps()) {
    const { status, stdout, stderr } = run(app, ...noCard, '--json', ...(app === 'gc-reg' ? ['ID'] : []));
    expect(status, app).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      app,
      ok: false,
      error: expect.stringContaining(`no device '${noCard[1]}'`),
    });
    expect(stderr).toContain('full address, as in 0000:00:04.0');
  }
});

test('every app explains itself', () => {
  for (const app of apps()) {
    const { status, stdout } = run(app, '--help');
    expect(status).toBe(0);
    expect(stdout).toContain(`usage: ${app} [options]`);
  }
});

test('a mark where nobody records is made without a word; none is an error', () => {
  expect(run('gc-mark', 'the ring', 'is full')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(run('gc-mark')).toMatchObject({ status: 2, stderr: expect.stringContaining('usage: gc-mark TEXT...') });
});

test.each([
  ['gc-irq', ['--irq', 'carrier-pigeon'], '--irq accepts intx, msi, msix or line, not: carrier-pigeon'],
  ['gc-irq', ['--device'], 'missing value after: --device'],
  ['gc-loopback', ['--fast'], 'unknown option: --fast'],
  ['gc-coherence', ['--rounds', '1000'], '--rounds does not accept this value: 1000'],
  ['gc-maps', ['--count', '1'], '--count does not accept this value: 1'],
  ['gc-maps', ['--fast'], 'unknown option: --fast'],
  ['gc-reg', ['--width', '7'], '--width does not accept this value: 7'],
  ['gc-reg', ['--fast', '1'], 'unknown option: --fast'],
  ['gc-reg', [], 'no register given'],
])('%s %j is refused with code 2 and a reason', (app, options, reason) => {
  const { status, stderr } = run(app, ...options);
  expect(status).toBe(2);
  expect(stderr).toContain(reason);
});
