/**
 * `npm run fuzz`: hostile clients at the server, and the native part under Clang's sanitizers (CONTRIBUTING.md).
 *
 *   npm run fuzz                          a million messages, and two minutes of the native part
 *   npm run fuzz -- --messages N          so many messages
 *   npm run fuzz -- --seconds N           so long each
 *   npm run fuzz -- --only session|native
 *   npm run fuzz -- --seed N              the clients of an earlier run
 *   npm run fuzz -- --repeat FILE         one client, or one input of the native part
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzzNative, repeatNative } from './native/run';
import { Bench } from './session/bench';
import { readClient } from './session/corpus';
import { fuzzSession } from './session/run';
import { tryOut } from './session/trial';

const FINDINGS = join(__dirname, '..', '..', 'artifacts', 'fuzz');
const MESSAGES = 1_000_000;
const NATIVE_SECONDS = 120;
const PARTS = ['session', 'native'] as const;

const say = (text: string): void => console.error(`fuzz: ${text}`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      seed: { type: 'string' },
      repeat: { type: 'string' },
    },
  });
  if (values.repeat !== undefined) return await repeat(values.repeat);
  const only = PARTS.find((part) => part === values.only);
  if (values.only !== undefined && only === undefined) throw new Error(`--only ${values.only}: ${PARTS.join(' or ')}`);
  let isInterrupted = false;
  process.once('SIGINT', () => (isInterrupted = true));
  const seconds = wholeNumber('seconds', values.seconds);
  const messages = wholeNumber('messages', values.messages);
  const found: string[] = [];
  if (only !== 'native') {
    const finding = await fuzzSession({
      messages: messages ?? (seconds === undefined ? MESSAGES : Infinity),
      seconds: seconds ?? Infinity,
      seed: wholeNumber('seed', values.seed) ?? Date.now() & 0x3fff_ffff,
      findings: FINDINGS,
      isInterrupted: () => isInterrupted,
      say,
    });
    if (finding !== undefined) found.push(finding);
  }
  if (only !== 'session' && !isInterrupted) {
    const finding = await fuzzNative({ seconds: seconds ?? NATIVE_SECONDS, findings: FINDINGS, say });
    if (finding !== undefined) found.push(finding);
  }
  for (const finding of found) say(`found: ${finding}`);
  if (found.length > 0) process.exitCode = 1;
}

async function repeat(path: string): Promise<void> {
  if (!path.endsWith('.json')) {
    await repeatNative(resolve(path));
    return say(`${path}: nothing is wrong`);
  }
  await using bench = await Bench.start();
  const messages = await tryOut(bench, readClient(path).steps);
  say(`${path}: nothing is wrong with ${messages} messages`);
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} ${text}: give a whole number`);
}

main().catch((error: unknown) => {
  say((error as Error).message);
  process.exitCode = 1;
});
