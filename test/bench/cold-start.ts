/**
 * (f) From the shell's prompt to the first line that a command in a guest prints, against QEMU alone booting the same
 * kernel to the first line of init, without cards and without us. Everything is provisioned before.
 */
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { execa, type Options } from 'execa';
import { type Provisioned, provision } from '../../qemu/provision';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const TIMEOUT_MS = 90_000;
const READY = 'ghostcard-bench-ready';

/** Seconds from the start of a program until it prints a line with `text` in it; the program is ended then. */
async function secondsUntil(text: string, [file, ...args]: readonly string[], options: Options = {}): Promise<number> {
  const startedMs = performance.now();
  const program = execa(file!, args, {
    ...options,
    stdin: 'ignore',
    buffer: false,
    reject: false,
    timeout: TIMEOUT_MS,
  });
  let seconds: number | undefined;
  for await (const line of createInterface({ input: program.stdout! })) {
    if (seconds === undefined && line.includes(text)) {
      seconds = (performance.now() - startedMs) / 1000;
      program.kill('SIGTERM');
    }
  }
  await program;
  if (seconds === undefined) throw new Error(`${file} ended, or ${TIMEOUT_MS} ms passed, before it said '${text}'`);
  return seconds;
}

/** The machine that launches give a guest, but for its cards, agent and control sockets. */
function bareQemu({ qemu, kernel, initramfsPath }: Provisioned): string[] {
  return [
    ...[qemu.command, ...qemu.argsPrefix, ...qemu.firmwareArgs],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', 'q35,vmport=off,smm=off', '-accel', 'tcg,thread=multi', '-cpu', 'qemu64', '-m', '512M'],
    ...['-kernel', kernel.imagePath, '-initrd', initramfsPath, '-serial', 'stdio'],
    ...['-append', 'console=ttyS0 printk.time=1 panic=-1 hugepagesz=2M hugepages=32 ghostcard.init=shell'],
  ];
}

async function run({ quick, say }: BenchmarkContext): Promise<Figure[]> {
  const provisioned = await provision();
  const cli = join(__dirname, '..', '..', 'qemu', 'cli', 'ghostcard.js');
  const command = [process.execPath, cli, 'run', '--quiet', '--card', 'reference', '--', 'echo', READY];
  const rounds: Round[] = [];
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    say(`cold start: round ${round + 1}`);
    // The first thing that our /init does on its own account is to say this.
    const floor = await secondsUntil('shell instead of the agent', bareQemu(provisioned));
    rounds.push({ floor, subject: await secondsUntil(READY, command) });
  }
  const definition = { group: 'f', name: 'cold start to first guest command', unit: 's' };
  return [figure({ ...definition, floorName: 'QEMU alone to first line of init' }, rounds)];
}

export const coldStart: Benchmark = { groups: ['f'], title: 'cold start', run };
