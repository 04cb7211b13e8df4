/** `ghostcard run`: boots a guest with cards in it and runs a command there. */
import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { type ExecResult, GuestRequestError } from '../../channel';
import { type BoundCard, GuestPanicError, QemuExitedError } from '../../launch';
import { provision, terminalProgress } from '../../provision';
import { Rig } from '../../rig';
import { distinctNames, loadCard } from '../card-source';
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
  ghostcard run --card reference --driver vfio-pci -- gc-identify`;

async function run(argv: string[], options: RunOptions): Promise<number> {
  const stop = interruption();
  const environment = Object.fromEntries((options.env ?? []).map(parseVariable));
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
  try {
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
    const bound: (BoundCard & { card: string; driver: string })[] = [];
    for (const [index, { name }] of cards.entries()) {
      const driver = drivers[index];
      const result = driver
        ? await rig.bind(name, driver)
        : { pciAddress: await rig.guest.pciAddressOf(name), node: '' };
      bound.push({ card: name, driver: driver ?? '', ...result });
      say(
        `${name} is ${result.pciAddress}${driver ? `, driver ${driver}` : ''}${result.node ? `, ${result.node}` : ''}`,
      );
    }
    const result = await rig.guest.run(argv, {
      env: { ...variablesOf(bound), ...environment },
      timeoutMs: options.timeout === undefined ? Infinity : options.timeout * 1000,
      ...(!process.stdin.isTTY && process.stdin.readable && { stdin: process.stdin }),
      ...(!options.json && {
        collect: false,
        onStdout: (chunk: Buffer) => void process.stdout.write(chunk),
        onStderr: (chunk: Buffer) => void process.stderr.write(chunk),
      }),
    });
    const exitCode = exitCodeOf(result);
    if (options.json) {
      const { stdout, stderr, ...rest } = result;
      const outcome = { ...rest, exitCode, stdout: stdout.toString(), stderr: stderr.toString(), cards: bound };
      console.log(JSON.stringify(outcome));
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
