/** Models that do not return: what the watchdog prints, and how their process ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTrace } from '../../instrumentation/trace';
import { BODY_LINE } from '../support/card-file';
import { VfioUserClient, words } from '../support/vfio-user-client';
import { cardFile, serving, startServing } from './serve-process';
import { until } from './serving';

const BAR0 = 0;
const CONFIG = 7;
const COMMAND_REGISTER = 4;
const MEMORY = Uint8Array.of(2, 0);
const BOUND = 20_000;

const quick = { GHOSTCARD_WATCHDOG: '1' };

/** Writes register GO of the planted card, and does not wait for a reply. */
async function go(socketPath: string): Promise<void> {
  const client = await VfioUserClient.connect(socketPath);
  await client.regionWrite(CONFIG, COMMAND_REGISTER, MEMORY);
  client.regionWrite(BAR0, 0, words(1)).catch(() => {});
}

describe('the watchdog', () => {
  test('prints where a model is that does not return from a hook, and ends the process', async () => {
    const card = cardFile('go() { this.countForEver(); }\n\n  countForEver() { for (let i = 0; ; i++); }');
    const served = await serving(card, { env: quick });
    await go(served.socketPath);
    expect(await served.ended).toEqual({ exitCode: 125, signal: null });
    expect(served.standardError()).toMatch(/^ghostcard: The model of the card PlantedCard has not returned for 1 s:\n/);
    expect(served.standardError()).toContain(`    at countForEver (${card}:${BODY_LINE + 2}:`);
    expect(served.standardError()).toContain(`    at go (${card}:${BODY_LINE}:`);
    expect(served.standardError()).toMatch(/GHOSTCARD_WATCHDOG=SECONDS sets another limit, 0 none; .*\n$/);
  });

  test('leaves a trace up to the access from which the model has not returned', async () => {
    const card = cardFile('go() { for (;;); }');
    const trace = join(dirname(card), 'run.trace');
    const served = await serving(card, { env: quick, args: ['--trace', trace] });
    await go(served.socketPath);
    expect(await served.ended).toEqual({ exitCode: 125, signal: null });
    const last = readTrace(trace).events.at(-1);
    expect(last).toMatchObject({ kind: 'write', region: BAR0, data: Uint8Array.of(1, 0, 0, 0) });
  });

  test.each([
    ['constructor', 'made() { for (;;); }'],
    ['reset', 'onReset() { for (;;); }'],
  ])('watches the %s of a card too', async (_, body) => {
    const served = startServing(cardFile(body), { env: quick });
    await until('it to listen, or to end', () => served.events.length > 0 || served.process.exitCode !== null, BOUND);
    if (served.process.exitCode === null) (await VfioUserClient.connect(served.socketPath)).close();
    expect(await served.ended).toEqual({ exitCode: 125, signal: null });
    expect(served.standardError()).toContain('The model of the card PlantedCard has not returned for 1 s');
  });

  test('ends the process also when a timer of the card does not return, and when there is no stack', async () => {
    const timer = await serving(cardFile('go() { setTimeout(() => { for (;;); }, 1); }'), { env: quick });
    const asleep = await serving(cardFile("go() { require('node:child_process').execFileSync('sleep', ['60']); }"), {
      env: quick,
    });
    await go(timer.socketPath);
    await go(asleep.socketPath);
    expect(await timer.ended).toEqual({ exitCode: 125, signal: null });
    expect(timer.standardError()).toContain('This program has not returned to its event loop for 1 s');
    expect(await asleep.ended).toEqual({ exitCode: null, signal: 'SIGKILL' });
    expect(asleep.standardError()).toContain('has not returned to its event loop for 1 s: it waits in a system call');
  });

  test('only warns when other code than a model does not return', async () => {
    const card = cardFile('');
    const dist = join(__dirname, '..', '..', 'dist');
    const program = join(dirname(card), 'program.js');
    writeFileSync(
      program,
      `const { ServedCard } = require(${JSON.stringify(join(dist, 'instrumentation', 'served-card'))});
const { watchdog } = require(${JSON.stringify(join(dist, 'emulator', 'watchdog'))});
const Card = require(${JSON.stringify(card)});
async function main() {
  const served = await ServedCard.start((environment) => new Card(environment), { socketPath: ${JSON.stringify(join(dirname(card), 'card'))} });
  watchdog.during('something else')[Symbol.dispose]();
  const activity = watchdog.during('the long test');
  const untilMs = Date.now() + 3000;
  while (Date.now() < untilMs);
  activity[Symbol.dispose]();
  await served.close();
  console.log('done');
}
main();
`,
    );
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, ...quick },
      timeout: BOUND,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
    const [exitCode] = (await once(child, 'close')) as [number | null];
    expect(output).toContain(
      'This program has not returned to its event loop for 1 s, in the long test:\n    at main (',
    );
    expect(output).toMatch(/Cards and guest stand still meanwhile.*\ndone\n$/);
    expect(exitCode).toBe(0);
  });

  test('is off under a debugger, which may stop a card for any time', async () => {
    const card = cardFile('go() { const untilMs = Date.now() + 3000; while (Date.now() < untilMs); }');
    const served = await serving(card, { env: quick, nodeOptions: ['--inspect=127.0.0.1:0'] });
    const client = await VfioUserClient.connect(served.socketPath);
    await client.regionWrite(CONFIG, COMMAND_REGISTER, MEMORY);
    await client.regionWrite(BAR0, 0, words(1));
    expect(served.standardError()).not.toContain('has not returned');
    client.close();
  });
});
