/** The report and the artifacts of failed guest tests: Vitest is run on tests that fail on purpose. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTrace, type TraceEvent } from '../../instrumentation/trace';

const repository = join(__dirname, '..', '..');
const CONFIG = 'test/guest/failing/vitest.config.mts';

let folder: string;
let output: string;
let junit: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gc-harness-'));
  const reporters = ['--reporter=default', '--reporter=junit', `--outputFile.junit=${join(folder, 'junit.xml')}`];
  const run = await execa('node_modules/.bin/vitest', ['run', '--config', CONFIG, ...reporters], {
    cwd: repository,
    reject: false,
    all: true,
    timeout: 280_000,
    env: { TMPDIR: folder, NO_COLOR: '1', GHOSTCARD_TEST_ARTIFACTS: join(folder, 'artifacts') },
  });
  if (run.timedOut) throw new Error(`Vitest has not ended within 280 s. It printed:\n${run.all}`);
  output = run.all;
  junit = readFileSync(join(folder, 'junit.xml'), 'utf8').replaceAll('&apos;', "'").replaceAll('&gt;', '>');
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the default reporter prints about a failed test. */
function failureOf(test: string): string {
  const start = output.indexOf(`> ${test}`, output.indexOf('Failed Tests'));
  return output.slice(start, output.indexOf('⎯⎯⎯⎯[', start));
}
const artifact = (test: string, file: string) => join(folder, 'artifacts', 'suite.ts', test, file);

describe('the report of a failed test', () => {
  it('has the assertion, the accesses of the driver, the commands, the console and the place of the logs', () => {
    const failure = failureOf('fails in an assertion');
    expect(failure).toContain(
      'expected STATUS.DONE to be 1, it is 0; last write to CTRL was 0x1 (START=1), 3 accesses ago',
    );
    expect(failure).toMatch(/The last accesses of the card lazy-card \(LazyCard, at [\d:.]+, uio_pci_generic\):\n/);
    expect(failure).toMatch(
      / us {2}write CTRL 0x00000001 \(START=1\)\n.* us {2}read STATUS 0x00000000 {2}\(3 times\)\n/,
    );
    expect(failure).toMatch(/What is left to say of the card lazy-card:\n {2}timer is still running\n/);
    expect(failure).toMatch(
      /The last commands in the guest:\n {2}gc-reg 0x00=1 0x04 0x04 0x04: ended with exit code 0/,
    );
    expect(failure).toMatch(/The guest's console:\n(.*\n)* {2}a word on the console\n/);
    expect(failure).toContain("Console, accesses and QEMU's messages: ");
    expect(failure).toMatch(
      /Recording of the cards: .*\/fails-in-an-assertion\/run\.trace, and report\.html beside it, for a browser$/m,
    );
    expect(failure).toContain("expect(card).toHaveRegister('STATUS.DONE', 1);");
  });

  it('is in the JUnit file too', () => {
    expect(junit).toContain('tests="14" failures="12"');
    expect(junit).toContain('expected STATUS.DONE to be 1, it is 0; last write to CTRL was 0x1');
    expect(junit).toContain('a word on the console');
    expect(junit).toMatch(/What is left to say of the card lazy-card:\n {2}timer is still running/);
    expect(junit).toMatch(/Notes on the cards:\n {2}lazy-card: the driver polls STATUS: .*\[polling\]/);
    expect(junit).toContain('fails-in-an-assertion');
  });

  it('has the model error of a card, although the driver has succeeded', () => {
    const failure = failureOf('fails for a model error of the card');
    expect(failure).toContain("CardModelError: The model of the card 'faulty' threw: BREAK is not implemented");
    expect(failure).toContain('write CTRL 0x00000002 (BREAK=1)');
    expect(failure.match(/CardModelError/g)).toHaveLength(1);
  });

  it('has the declared fault that never fired, although the driver has succeeded', () => {
    const failure = failureOf('fails for a declared fault that has not fired');
    expect(failure).toMatch(
      /UnfiredFaultError: The fault 'write-lost' of the card 'lazy-card' has not fired: it waited for occurrence 2 of writes to CTRL; 1 of \d+ writes to the card matched \(mayNotFire: true allows that\)/,
    );
  });

  it('says that the card was restarted', () => {
    const failure = failureOf('fails after its card has been restarted');
    expect(failure).toContain('expected CTRL.START to be 1, it is 0; the card has not been accessed');
    expect(failure).toMatch(
      /Notes on the cards:\n {2}lazy-card: the card 'lazy-card' is being restarted; the guest loses it/,
    );
  });

  it('reports that the driver has polled without progress', () => {
    expect(failureOf('fails while its driver polls without progress')).toMatch(
      /Notes on the cards:\n {2}lazy-card: the driver polls STATUS: \d+ reads in \d\.\d s, since .*, always 0x00000000\./,
    );
  });

  it('has the code that did each access, of an observed guest', () => {
    const failure = failureOf('fails without a recording, observed');
    expect(failure).toMatch(
      / write CTRL 0x00000001 \(START=1\) {2}by gc-reg\.c:\d+ write_bits.* \(gc-reg, process \d+\)/,
    );
    expect(failure).toMatch(/ read STATUS 0x00000000 {2}\(2 times\) {2}last by gc-reg\.c:\d+ read_bits/);
  });

  it('has the command that was running at the timeout, with the line of the test', () => {
    const failure = failureOf('times out, with');
    expect(failure).toContain('Test timed out in 10000ms.');
    expect(failure).toMatch(/sleep 1000: still running after \d+ ms/);
    expect(failure).toMatch(/❯ test\/guest\/failing\/suite\.ts:\d+/);
    expect(failure).not.toContain('fixtures.ts');
  });

  it('has a timeout before the guest has started', () => {
    expect(failureOf('times out before the guest has started')).toContain('Test timed out in 100ms.');
  });

  it('quotes the panic of a guest, once', () => {
    const failure = failureOf('fails when its guest dies');
    expect(failure).toContain('Kernel panic - not syncing: sysrq triggered crash');
    expect(failure.match(/The guest's console:/g)).toHaveLength(1);
    expect(failure).toContain("await guest.run(['sh', '-c', 'echo c > /proc/sysrq-trigger");
  });

  it('has the line that has started a program that does not exist', () => {
    const failure = failureOf('runs a program that does not exist');
    expect(failure).toContain("await guest.run(['./no-such-program']);");
    expect(failure).toContain('it was looked for in /, the working directory');
  });

  it('has the matcher that was not awaited', () => {
    const failure = failureOf('does not await a matcher');
    expect(failure).toContain("toReachRegister was not awaited: write 'await expect(…).toReachRegister(…)'.");
    expect(failure).toContain("void expect(card).toReachRegister('STATUS.DONE', 1);");
  });

  it('has the output of a failed command', () => {
    const failure = failureOf('fails before it has a card');
    expect(failure).toMatch(/to succeed, it ended with exit code 3 after \d+ ms\nstderr:\n {2}err\nstdout:\n {2}out\n/);
  });
});

describe('after failed tests', () => {
  it('logs of failed tests are kept, and those of passed tests are not', () => {
    expect(readFileSync(artifact('fails-in-an-assertion', 'console.log'), 'utf8')).toContain('a word on the console');
    const accesses = readFileSync(artifact('fails-in-an-assertion', 'lazy-card-accesses.log'), 'utf8');
    expect(accesses).toContain('write config:COMMAND');
    expect(accesses).toContain('write CTRL 0x00000001 (START=1)');
    expect(existsSync(artifact('fails-when-its-guest-dies', 'qemu-stderr.log'))).toBe(true);
    expect(readdirSync(join(folder, 'artifacts', 'suite.ts'))).toHaveLength(11);
  });

  it('recordings of failed tests are kept, with the commands and the end of the test', () => {
    const { events, isEnded } = readTrace(artifact('fails-in-an-assertion', 'run.trace'));
    expect(isEnded).toBe(true);
    const accesses = events.filter((event) => 'region' in event && event.region === 0).map(({ kind }) => kind);
    expect(accesses).toEqual(['write', 'read', 'read', 'read']);
    expect(marksIn(events)).toEqual([
      'host: test: fails in an assertion',
      'command: gc-reg 0x00=1 0x04 0x04 0x04: begins',
      'command: gc-reg 0x00=1 0x04 0x04 0x04: ended with exit code 0',
      'command: sh -c echo a word on the console > /dev/console: begins',
      'command: sh -c echo a word on the console > /dev/console: ended with exit code 0',
      expect.stringMatching(/^host: the test has failed: expected STATUS\.DONE to be 1, it is 0/),
    ]);
    const names = events.flatMap((event) => (event.kind === 'card' ? event.description.name : []));
    expect(names).toEqual(['lazy-card']);
  });

  it('reports of failed tests are HTML pages', () => {
    const report = readFileSync(artifact('fails-in-an-assertion', 'report.html'), 'utf8');
    expect(report).toMatch(/^<!doctype html>/i);
    expect(report.length).toBeGreaterThan(10_000);
  });

  it('a recording has both cards of a restart', () => {
    const { events } = readTrace(artifact('fails-after-its-card-has-been-restarted', 'run.trace'));
    const story = events.flatMap(({ kind, card }) =>
      kind === 'card' || kind === 'link-down' ? `${kind} ${card}` : [],
    );
    expect(story).toEqual(['card 1', 'link-down 1', 'card 2']);
  });

  it("nothing is recorded with 'never', and recordings are always kept with 'always'", () => {
    expect(existsSync(artifact('fails-without-a-recording-observed', 'console.log'))).toBe(true);
    expect(existsSync(artifact('fails-without-a-recording-observed', 'run.trace'))).toBe(false);
    expect(failureOf('fails without a recording, observed')).not.toContain('run.trace');
    const folder = dirname(artifact('passes-and-its-recording-is-kept', 'run.trace'));
    expect(readdirSync(folder).sort()).toEqual(['report.html', 'run.trace']);
    const { header, events } = readTrace(join(folder, 'run.trace'));
    expect(header.payloads).toBe('hash');
    expect(marksIn(events)).toContain('host: here it begins');
  });

  it('the next test on a shared guest gets a new one', () => {
    expect(output).toContain('✓ passes after that, in another guest');
  });

  it('no process and no folder of a guest is left', async () => {
    const left = (): string[] => [...runFolders(), ...commandLines().filter((command) => command.includes(folder))];
    await expect.poll(left, { timeout: 20_000 }).toEqual([]);
  });
});

describe('when Vitest is killed', () => {
  it('its guests and their folders are removed at once', async () => {
    const ofQemu = () => commandLines().filter((command) => command.includes('-machine') && command.includes(folder));
    const args = ['run', '--config', CONFIG, '-t', 'times out, with'];
    const run = execa('node_modules/.bin/vitest', args, {
      cwd: repository,
      reject: false,
      stdio: 'ignore', // otherwise execa would wait for the worker's end
      timeout: 60_000,
      env: { TMPDIR: folder, GHOSTCARD_TEST_ARTIFACTS: join(folder, 'artifacts') },
    });
    await expect.poll(ofQemu, { timeout: 30_000 }).toHaveLength(1);
    run.kill('SIGKILL');
    await run;
    await expect.poll(() => [...ofQemu(), ...runFolders()], { timeout: 5_000 }).toEqual([]);
  });
});

const marksIn = (events: readonly TraceEvent[]): string[] =>
  events.flatMap((event) => (event.kind === 'mark' ? `${event.from}: ${event.text}` : []));

const runFolders = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith('ghostcard-'))
    .flatMap((name) => readdirSync(join(folder, name)));

const commandLines = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandOf(pid));

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It has ended since.
  }
}
