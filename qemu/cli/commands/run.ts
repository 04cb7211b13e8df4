/** `ghostcard run`: boots a guest with cards in it and runs a command there. */
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { type ExecResult, GuestRequestError } from '../../channel';
import { type BoundCard, GuestPanicError, QemuExitedError } from '../../launch';
import { provision, terminalProgress } from '../../provision';
import { Rig } from '../../rig';
import { type CardSource, distinctNames, loadCard } from '../card-source';
import { EXIT } from '../exit-codes';
import { interruption } from '../interruption';
import { addSoftwareOptions, collect, type SoftwareOptions, softwareOf, wholeNumber } from '../options';
import { UsageError } from '../usage-error';

interface RunOptions extends SoftwareOptions {
  readonly card: string[];
  readonly driver: string[];
  readonly memory: number;
  readonly cpus: number;
  readonly hugepages: number;
  readonly append?: string;
  readonly kvm?: true;
  readonly env?: string[];
  readonly push?: string[];
  readonly timeout?: number;
  readonly artefacts?: string;
  readonly console?: true;
  readonly quiet?: true;
  readonly json?: true;
}

export function runCommand(): Command {
  const command = new Command('run')
    .description('Boot a guest with a card in it and run a command there.')
    .argument('<command...>', 'the command and its arguments, as seen in the guest; put -- before it')
    .passThroughOptions()
    .option('--card <name-or-file>', 'card to plug in, may be repeated; options as name,key=value', collect)
    .option(
      '--driver <name>',
      'kernel driver for the card of the same position: uio_pci_generic, vfio-pci, none',
      collect,
    )
    .option('--memory <MiB>', "the guest's memory", wholeNumber(128, 65_536), 512)
    .option('--cpus <n>', "the guest's processors", wholeNumber(1, 64), 1)
    .option('--hugepages <n>', '2 MiB pages to reserve for DMA buffers', wholeNumber(0, 16_384), 32)
    .option('--append <arguments>', "added to the kernel's command line")
    .option('--kvm', 'use KVM (it must really work here; default is TCG, which always does)')
    .option('--env <NAME=VALUE>', 'environment variable for the command, may be repeated', collect)
    .option(
      '--push <file[:guest-path]>',
      'copy a file into the guest first, to /tmp unless told, may be repeated',
      collect,
    )
    .option('--timeout <seconds>', 'end the command after this long (exit code 124)', wholeNumber(1, 86_400))
    .option('--artefacts <folder>', 'keep console log, QEMU errors and command line there')
    .option('--console', "show the guest's console on standard error as it comes")
    .option('--quiet', 'say nothing but what the command says')
    .addOption(new Option('--json', 'print one JSON object at the end, with the output in it').conflicts('console'));
  return addSoftwareOptions(command)
    .addHelpText('after', help)
    .action(async (argv: string[], options: RunOptions) => {
      process.exitCode = await run(argv, options);
    });
}

const help = `
The command sees GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE (/dev/uio0, /dev/vfio/noiommu-0) of the first card, and the
same with _2, _3 ... of those after it.

Exit code: the command's own; 128+n when signal n ended it; ${EXIT.TIMED_OUT} time limit; ${EXIT.NOT_STARTED} not started;
${EXIT.GUEST_DIED} the guest died; ${EXIT.GHOSTCARD} ghostcard failed; ${EXIT.USAGE} wrong options.

Example:
  ghostcard run --card reference --driver vfio-pci -- gc-identify
  ghostcard run --driver uio_pci_generic --push ./my-driver -- /tmp/my-driver --self-test`;

async function run(argv: string[], options: RunOptions): Promise<number> {
  const stop = interruption();
  const environment = Object.fromEntries((options.env ?? []).map(parseVariable));
  const files = (options.push ?? []).map(parsePush);
  const cards = distinctNames((options.card ?? ['reference']).map(loadCard));
  const drivers = options.driver ?? [];
  if (drivers.length > cards.length) {
    throw new UsageError(`--driver was given ${drivers.length} times for ${cards.length} card(s): one for each --card`);
  }
  const say = options.quiet || options.json ? () => {} : (text: string) => console.error(`ghostcard: ${text}`);
  const provisioned = await provision({
    ...softwareOf(options),
    signal: stop,
    ...(!options.quiet && { onProgress: terminalProgress() }),
  });
  await using rig = await Rig.start({
    provisioned,
    cards,
    memoryMiB: options.memory,
    cpus: options.cpus,
    hugepages: options.hugepages,
    accel: options.kvm ? 'kvm' : 'tcg',
    ...(options.append !== undefined && { kernelAppend: options.append }),
    ...(options.artefacts !== undefined && { artefactsDir: options.artefacts }),
    ...(options.console && { onConsole: (line: string) => console.error(line) }),
    onProgress: ({ message, elapsedMs }) => say(`${message} (${(elapsedMs / 1000).toFixed(1)} s)`),
    signal: stop,
  });
  const bound = await bindCards(rig, cards, drivers, say);
  for (const { bytes, guestPath, mode } of files) await rig.guest.push(guestPath, bytes, mode);
  const code = await runCommandIn(rig, argv, { ...variablesOf(bound), ...environment }, bound, options, say);
  if (rig.faults.length === 0) return code;
  console.error(
    `ghostcard: ${rig.faults.length} fault(s) of the card model, see above; the command ended with ${code}`,
  );
  return EXIT.GHOSTCARD;
}

type Bound = BoundCard & { card: string; driver: string };
type Say = (text: string) => void;

async function bindCards(
  rig: Rig,
  cards: readonly CardSource[],
  drivers: readonly string[],
  say: Say,
): Promise<Bound[]> {
  const bound: Bound[] = [];
  for (const [index, { name }] of cards.entries()) {
    const driver = drivers[index] ?? '';
    const where = driver ? await rig.bind(name, driver) : { pciAddress: await rig.guest.pciAddressOf(name), node: '' };
    bound.push({ card: name, driver, ...where });
    say([`${name} is ${where.pciAddress}`, driver && `driver ${driver}`, where.node].filter(Boolean).join(', '));
  }
  return bound;
}

/** Runs the command to its end, its streams connected to ours, and returns the exit code for it. */
async function runCommandIn(
  rig: Rig,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cards: readonly Bound[],
  options: RunOptions,
  say: Say,
): Promise<number> {
  try {
    const result = await rig.guest.run(argv, {
      env,
      timeoutMs: options.timeout === undefined ? Infinity : options.timeout * 1000,
      ...(!process.stdin.isTTY && { stdin: process.stdin }),
      ...(!options.json && {
        collect: false,
        onStdout: (chunk: Buffer) => write(process.stdout, chunk),
        onStderr: (chunk: Buffer) => write(process.stderr, chunk),
      }),
    });
    const exitCode = exitCodeOf(result);
    if (options.json) {
      const { stdout, stderr, ...rest } = result;
      const outcome = { ...rest, exitCode, stdout: stdout.toString(), stderr: stderr.toString(), cards };
      await write(process.stdout, `${JSON.stringify(outcome)}\n`);
    } else if (result.timedOut) {
      say(`the command was ended after ${options.timeout} s (--timeout)`);
    }
    return exitCode;
  } catch (error) {
    const code = exitCodeOfFailure(error);
    if (code === undefined) throw error;
    console.error(`ghostcard: ${(error as Error).message}`);
    return code;
  } finally {
    process.stdin.destroy();
  }
}

/** Writes a piece and, when the reader is slow, waits until it has caught up. */
async function write(stream: NodeJS.WriteStream, chunk: Buffer | string): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}

function exitCodeOf({ exitCode, signal, timedOut }: ExecResult): number {
  if (timedOut) return EXIT.TIMED_OUT;
  if (signal !== undefined) return EXIT.SIGNAL + (constants.signals[signal as NodeJS.Signals] ?? 0);
  return exitCode ?? EXIT.GHOSTCARD;
}

function exitCodeOfFailure(error: unknown): number | undefined {
  if (error instanceof GuestPanicError || error instanceof QemuExitedError) return EXIT.GUEST_DIED;
  if (error instanceof GuestRequestError) return EXIT.NOT_STARTED;
  return undefined;
}

/** What the command finds in its environment about the cards. */
function variablesOf(cards: readonly BoundCard[]): Record<string, string> {
  const entries = cards.flatMap(({ pciAddress, node }, index) => {
    const suffix = index === 0 ? '' : `_${index + 1}`;
    return [
      [`GHOSTCARD_PCI_ADDRESS${suffix}`, pciAddress],
      [`GHOSTCARD_DEVICE${suffix}`, node],
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function parseVariable(setting: string): [string, string] {
  const at = setting.indexOf('=');
  if (at <= 0) throw new UsageError(`--env ${setting}: write NAME=VALUE`);
  return [setting.slice(0, at), setting.slice(at + 1)];
}

/** HOST[:GUEST]: the guest path is /tmp/NAME when it is left out. */
function parsePush(argument: string): { bytes: Buffer; guestPath: string; mode: number } {
  const [hostPath = '', guestPath = `/tmp/${basename(hostPath)}`] = argument.split(/:(.*)/s);
  try {
    return { bytes: readFileSync(hostPath), guestPath, mode: statSync(hostPath).mode & 0o777 };
  } catch (error) {
    throw new UsageError(`--push ${argument}: ${(error as Error).message}`);
  }
}
