/**
 * A run of which one process is ended at a random moment, by a random signal: no process, socket, folder or mount of it is
 * left, what is left of it says why, and the next run works.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { Random } from '../support/random-driver';
import { leftovers, mounts, survivors } from '../support/remains';

const CLI = join(__dirname, '..', '..', 'cli', 'ghostcard.js');

/** GHOSTCARD_KILLS sets another seed, and how many: `1000+200`. */
const [FIRST = 1, KILLS = 8] = (process.env.GHOSTCARD_KILLS ?? '').split('+').filter(Boolean).map(Number);

const TARGETS = ['runner', 'npm', 'qemu', 'card'] as const;
/** Those that can be handled are taken for a request to end in an orderly way, the others end a process at once. */
const ORDERLY = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SIGNALS = [...ORDERLY, 'SIGKILL', 'SIGKILL', 'SIGQUIT', 'SIGABRT', 'SIGSEGV', 'SIGBUS'] as const;
/** A run needs about a second to its command; some are ended in it. */
const LATEST_MS = 3000;
/** For everything to be gone, on a machine that is busy. */
const GONE_MS = 20_000;

let base: string;
beforeAll(() => void (base = mkdtempSync(join(tmpdir(), 'gc-kills-'))));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const dma = ['sh', '-c', 'while gc-loopback --max-size 65536; do :; done'];
const runOf = (card: string, command: readonly string[]) => [
  ...['run', '--minimal', '--card', card, '--driver', driverOf(card), '--', ...command],
];
/** vfio-pci resets the function when it is opened, and Linux waits a minute for one that is gone. */
const driverOf = (card: string) => (card.startsWith('unix:') ? 'uio_pci_generic' : 'vfio-pci');

function start(temporary: string, [program, ...args]: readonly string[]) {
  const { GHOSTCARD_KILLS: _, ...caller } = process.env;
  const env = { ...caller, TMPDIR: temporary, GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir };
  const child = spawn(program!, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (texts.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (texts.stderr += String(chunk)));
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, ended, texts };
}
type Started = ReturnType<typeof start>;
const ghostcard = (...args: string[]) => [process.execPath, CLI, ...args];

/** Under `npm exec`, the clone would be built first. */
function npmRun(folder: string, args: readonly string[]): string[] {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { go: `${process.execPath} ${CLI} "$@"` } }));
  return ['npm', '--prefix', folder, 'run', 'go', '--', ...args];
}

/** A card of another process; resolves when it listens. */
async function serve(temporary: string, socketPath: string) {
  const server = start(temporary, ghostcard('serve', '--card', 'reference', '--socket', socketPath));
  await expect.poll(() => server.texts.stdout, { timeout: GONE_MS }).toContain('is served at');
  return server;
}

const qemuOf = (temporary: string) =>
  survivors(temporary).find(({ commandLine }) => commandLine.includes('qemu-system'))?.pid;

/** Ends QEMU; and once more when it was being restored, for the run boots the guest then. Resolves when the run has ended. */
async function killQemu(temporary: string, runner: Started, signal: NodeJS.Signals, afterMs: number): Promise<void> {
  const hasEnded = () => runner.child.exitCode !== null || runner.child.signalCode !== null;
  for (let last = 0; !hasEnded(); await delay(10)) {
    const pid = qemuOf(temporary);
    if (pid === undefined || pid === last) continue;
    await delay(afterMs);
    process.kill((last = pid), signal);
  }
}

it.each(Array.from({ length: KILLS }, (_, index) => FIRST + index))(
  'kill %i leaves nothing, and the next run works',
  async (seed) => {
    const random = new Random(seed);
    const target = TARGETS[seed % TARGETS.length]!;
    // npm passes SIGINT on to its shell alone, which waits for the program; Ctrl-C reaches all of them.
    const signal = random.of(SIGNALS.filter((each) => target !== 'npm' || each !== 'SIGINT'));
    const temporary = join(base, `${seed}`);
    mkdirSync(temporary);
    const socketPath = join(temporary, 'card.sock');
    const server = target === 'card' ? await serve(temporary, socketPath) : undefined;
    const command = runOf(server ? `unix:${socketPath}` : 'reference', dma);
    const argv = target === 'npm' ? npmRun(temporary, command) : ghostcard(...command);
    const runner = start(temporary, argv);
    const { ended, texts } = runner;
    const afterMs = random.below(LATEST_MS);
    const said = () => `${signal} to ${target} after ${afterMs} ms:\n${texts.stderr}`;
    if (target === 'qemu') {
      await killQemu(temporary, runner, signal, afterMs);
    } else {
      await delay(afterMs);
      (server ?? runner).child.kill(signal);
    }
    const [code, endedBy] = await ended;
    await server?.ended;

    if (target === 'qemu') {
      expect([123, 125], said()).toContain(code);
      expect(texts.stderr, said()).toMatch(/QEMU (?:was killed|exited|ended)/);
    } else if (target === 'card') {
      // 2: there was no socket when the options were checked. 123: QEMU has aborted (docs/limits.md).
      expect([2, 123, 125], said()).toContain(code);
      expect(texts.stderr, said()).toMatch(
        /the process that serves (?:the|a) card|no process serves|no card is served/,
      );
    } else if (endedBy === null) {
      expect(ORDERLY, said()).toContain(signal); // npm passes signals on
      expect(code, said()).toBeGreaterThan(128);
      if (target === 'runner') expect(texts.stderr, said()).toContain(`stopped by ${signal}`);
    }
    await expect
      .poll(() => [...survivors(temporary), ...leftovers(temporary), ...mounts(temporary)], {
        timeout: GONE_MS,
        interval: 50,
        message: said(),
      })
      .toEqual([]);

    const again = server && (await serve(temporary, socketPath));
    const next = start(temporary, ghostcard(...runOf(again ? `unix:${socketPath}` : 'reference', ['gc-identify'])));
    expect(await next.ended, `${said()}\nthe next run:\n${next.texts.stderr}`).toEqual([0, null]);
    again?.child.kill();
    await again?.ended;
    await expect
      .poll(() => [...survivors(temporary), ...leftovers(temporary)], { timeout: GONE_MS, interval: 50 })
      .toEqual([]);
  },
);
