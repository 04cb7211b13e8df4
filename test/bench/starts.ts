/**
 * (f) From the shell's prompt to the first line that a command in a guest prints, against QEMU alone booting the same
 * kernel to the first line of init, without cards and without ghostcard. (h) Warm starts against cold ones. Everything
 * is provisioned before.
 */
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { execa, type Options } from 'execa';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardFactory } from '../../instrumentation/served-card';
import { type Provisioned, provision } from '../../qemu/provision';
import { Rig, type RigOptions } from '../../qemu/rig';
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
  if (seconds === undefined) throw new Error(`${file} ended, or ${TIMEOUT_MS} ms passed, before it printed '${text}'`);
  return seconds;
}

/** The machine of a guest, without its cards, agent and control sockets. */
function bareQemu({ qemu, kernel, initramfsPath }: Provisioned): string[] {
  return [
    ...[qemu.command, ...qemu.argsPrefix, ...qemu.firmwareArgs],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', 'q35,vmport=off,smm=off', '-accel', 'tcg,thread=multi', '-cpu', 'qemu64', '-m', '512M'],
    ...['-kernel', kernel.imagePath, '-initrd', initramfsPath, '-serial', 'stdio'],
    ...['-append', 'console=ttyS0 printk.time=1 panic=-1 hugepagesz=2M hugepages=32 ghostcard.init=shell'],
  ];
}

async function fromPrompt({ quick, say }: BenchmarkContext): Promise<Figure[]> {
  const provisioned = await provision();
  const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
  const command = (...options: string[]) =>
    [process.execPath, cli, 'run', '--quiet', '--card', 'reference', ...options, '--', 'echo', READY] as const;
  const rounds = { cold: [] as Round[], warm: [] as Round[] };
  await secondsUntil(READY, command()); // makes the snapshot, if there is none
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    say(`starts from the prompt: round ${round + 1}`);
    // The first line that the guest's /init prints.
    const floor = await secondsUntil('shell instead of the agent', bareQemu(provisioned));
    rounds.cold.push({ floor, subject: await secondsUntil(READY, command('--cold')) });
    rounds.warm.push({ floor, subject: await secondsUntil(READY, command()) });
  }
  const definition = { group: 'f', unit: 's', floorName: 'QEMU alone to first line of init' };
  return [
    figure({ ...definition, name: 'prompt to first guest command, cold' }, rounds.cold),
    figure({ ...definition, name: 'prompt to first guest command, warm' }, rounds.warm),
  ];
}

/** Seconds from the launch of a rig until its card is bound and a command has run in the guest. */
async function secondsToFirstCommand(options: Partial<RigOptions> & Pick<RigOptions, 'provisioned'>): Promise<number> {
  const startedMs = performance.now();
  const make: CardFactory = (environment) => new ReferenceCard(environment);
  await using rig = await Rig.start({ cards: [{ name: 'card', make, driver: 'uio_pci_generic' }], ...options });
  const { exitCode } = await rig.guest.run(['true']);
  if (exitCode !== 0) throw new Error(`the first command in the guest ended with exit code ${exitCode}`);
  return (performance.now() - startedMs) / 1000;
}

async function warmAgainstCold({ quick, say }: BenchmarkContext): Promise<Figure[]> {
  const provisioned = await provision();
  const variants = [
    { name: 'launch to driver bound and first command', hostRoot: '/' },
    { name: "the same, without the host's files", hostRoot: false },
  ] as const;
  const figures: Figure[] = [];
  for (const { name, hostRoot } of variants) {
    await secondsToFirstCommand({ provisioned, hostRoot }); // makes the snapshot, if there is none
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      say(`warm against cold starts: round ${round + 1}`);
      const floor = await secondsToFirstCommand({ provisioned, hostRoot, start: 'cold' });
      rounds.push({ floor, subject: await secondsToFirstCommand({ provisioned, hostRoot }) });
    }
    const goal = { kind: 'at-most', ratio: 0.2 } as const;
    figures.push(figure({ group: 'h', name, unit: 's', floorName: 'a cold start', goal }, rounds));
  }
  return figures;
}

export const promptStarts: Benchmark = { groups: ['f'], title: 'starts from the prompt', run: fromPrompt };
export const warmStarts: Benchmark = { groups: ['h'], title: 'warm against cold starts', run: warmAgainstCold };
