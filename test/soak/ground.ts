/** What the activities of a soak share: where they work, what they have counted, and commands of ghostcard. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Provisioned } from '../../qemu/provision';
import { appReport, type Rig } from '../../qemu/rig';
import { type Random } from '../support/random-driver';

const CLI = join(__dirname, '..', '..', 'cli', 'ghostcard.js');

/** Counts since the soak began. */
export class Tally {
  /** Payload bytes that a program in a guest, or a replay, has compared one by one. */
  verifiedBytes = 0;
  guests = 0;
  kills = 0;
  replays = 0;
  plugs = 0;
  readonly times: Record<string, number> = {};
  /** What went wrong, with what repeats it. */
  readonly failures: string[] = [];

  done(activity: string): void {
    this.times[activity] = (this.times[activity] ?? 0) + 1;
  }
}

export interface Ground {
  readonly random: Random;
  readonly tally: Tally;
  readonly provisioned: Readonly<Record<'amd64' | 'arm64', Provisioned>>;
  /** For temporary files; empty when nothing is under way. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Runs a program of guest-tools on a card and counts what it has verified. @throws Error with its output */
export async function verify(rig: Rig, card: string, argv: readonly string[], { tally }: Ground): Promise<void> {
  const device = await rig.guest.pciAddressOf(card);
  const result = await rig.guest.run([...argv, '--device', device, '--json']);
  const { ok, bytes } = appReport(argv, result);
  if (!ok) throw new Error(`${argv.join(' ')} failed:\n${result.stdout.toString()}${result.stderr.toString()}`);
  tally.verifiedBytes += bytes;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a process of its own, with a folder for temporary files that nobody else has. */
export function ghostcard(temporary: string, args: readonly string[], { signal }: Ground) {
  const child: ChildProcess = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr!.on('data', (chunk) => (stderr += String(chunk)));
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  const ended = once(child, 'close').then(([code, endedBy]): Ended => {
    signal.removeEventListener('abort', stop);
    return { code: code as number | null, signal: endedBy as NodeJS.Signals | null, stdout, stderr };
  });
  return { child, ended };
}

/** A folder for the time of `work`. */
export async function inFolder<T>({ folder }: Ground, work: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = mkdtempSync(join(folder, 'own-'));
  try {
    return await work(temporary);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}
