/** `ghostcard serve` as a process of its own, for a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { writeCardFile } from '../support/card-file';
import { until } from './serving';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');

export interface ServeProcess {
  readonly process: ChildProcess;
  readonly socketPath: string;
  /** Kinds of events that it has printed, in order. */
  readonly events: string[];
  /** The texts of events that have one. */
  readonly texts: readonly string[];
  /** Its standard error. */
  readonly standardError: () => string;
  /** How it ended, once both of its streams have ended. */
  readonly ended: Promise<{ exitCode: number | null; signal: string | null }>;
}

export interface ServeProcessOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly nodeOptions?: readonly string[];
  /** Added to the command line. */
  readonly args?: readonly string[];
  /** Limit for the size of a file that it writes. */
  readonly fileLimitBytes?: number;
}

/** Started, not yet listening. It is ended with the test. */
export function startServing(
  card: string,
  { env = {}, nodeOptions = [], args: more = [], fileLimitBytes }: ServeProcessOptions = {},
): ServeProcess {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-serve-'));
  const socketPath = join(folder, 'card');
  const args = [...nodeOptions, cli, 'serve', '--card', card, '--socket', socketPath, '--json', ...more];
  const limit = fileLimitBytes === undefined ? [] : ['prlimit', `--fsize=${fileLimitBytes}`];
  const [file, ...rest] = [...limit, process.execPath, ...args];
  const child = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const ended = once(child, 'close').then(([exitCode, signal]) => ({ exitCode, signal }));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  });
  const events: string[] = [];
  let standardError = '';
  const texts: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { event, text } = JSON.parse(line) as { event: string; text?: string };
    events.push(event);
    if (text !== undefined) texts.push(text);
  });
  child.stderr.on('data', (text: Buffer) => (standardError += text.toString()));
  return { process: child, socketPath, events, texts, standardError: () => standardError, ended };
}

/** Started, and listening unless it has ended before. */
export async function serving(card: string, options?: ServeProcessOptions): Promise<ServeProcess> {
  const served = startServing(card, options);
  const { process: child, events } = served;
  await until('ghostcard serve to listen', () => events.includes('listening') || child.exitCode !== null, 15_000);
  return served;
}

/** A card in a file that is removed with the test; see `writeCardFile`. */
export function cardFile(body: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-card-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return writeCardFile(join(folder, 'planted.js'), body);
}
