/** `ghostcard run`: starts a guest with cards in it and runs a command there. */
import { Command, Option } from 'commander';
import { watchdog } from '../../emulator/watchdog';
import { type BoundCard, isModuleName, loadModule, MEMORY_LAYOUTS } from '../../qemu/launch';
import { MAX_SLOTS } from '../../qemu/launch/arguments';
import { provision, terminalProgress } from '../../qemu/provision';
import { cardVariables, Rig, type RigCard } from '../../qemu/rig';
import { functionsOf } from '../common/card-source';
import { EXIT, report, textOf, UsageError } from '../common/errors';
import { interruption } from '../common/interruption';
import { collect, wholeNumber } from '../common/options';
import { print, sayError } from '../common/output';
import { addNoticeOptions, NoticeLog, noticeOptionsOf } from '../common/notices';
import { addTraceOptions, Recording } from '../common/recording';
import { timesFired, withModelErrors, withNotices, withRaces, withUnfired } from './findings';
import { runInGuest } from './guest-command';
import { answerTimeoutOf, hasNoDma, planRun, type RunCommandOptions, type RunPlan } from './run-plan';
import { addSoftwareOptions, softwareOf } from './software-options';
import { endWith } from '../common/own-process';

export function runCommand(): Command {
  const command = new Command('run')
    .description("Start a guest with cards in it and run a command there, on this machine's files.")
    .argument('[command...]', 'the command and its arguments; put -- before it')
    .passThroughOptions()
    .option('--card <name-or-file>', 'card to plug in, may be repeated; options as name,key=value', collect)
    .option(
      '--driver <name>',
      'kernel driver for the card of the same position (of its functions: A,B), may be repeated: uio_pci_generic, vfio-pci, ' +
        'uio_pdrv_genirq, uio_dmem_genirq, vfio-platform, none, any other',
      collect,
    )
    .option('--faults <file>', 'faults to inject into the cards (docs/faults.md), may be repeated', collect)
    .option('--rw <folder[:guest-path]>', 'folder that the guest may write to, may be repeated', collect)
    .option('--root <folder>', "root of the guest's files, in place of this machine's /")
    .option(
      '--hide <path>',
      'file or folder that the guest does not see, beside your keys and tokens, may be repeated',
      collect,
    )
    .option(
      '--reveal <path>',
      'key, token or folder of such that the guest sees (docs/security.md), may be repeated',
      collect,
    )
    .addOption(new Option('--minimal', "nothing but the guest's own files").conflicts(['root', 'rw', 'hide', 'reveal']))
    .option('--module <file.ko-or-name[,name=value...]>', 'kernel module to load first, may be repeated', collect)
    .option(
      '--push <file[:guest-path]>',
      'copy a file into the guest first (default: to /tmp), may be repeated',
      collect,
    )
    .option('--env <NAME[=VALUE]>', 'environment variable for the command, may be repeated', collect)
    .addOption(new Option('--shell', 'an interactive shell (or the command) on this terminal').conflicts('json'))
    .addOption(new Option('-t, --tty', 'run the command on this terminal').conflicts('json'))
    .option('--timeout <seconds>', 'end the command after this long (exit code 124)', wholeNumber(1, 86_400))
    .option('--memory <MiB>', "the guest's memory", wholeNumber(128, 65_536), 512)
    .addOption(
      new Option(
        '--memory-layout <layout>',
        'where memory lies: high (above 4 GiB), fragmented (not contiguous by luck), flat (the default)',
      ).choices(MEMORY_LAYOUTS),
    )
    .option('--cpu <model>', "the model of the guest's processors, such as Haswell-v4 or max")
    .option('--cpus <n>', "the guest's processors", wholeNumber(1, 64), 1)
    .option('--hugepages <n>', '2 MiB pages to reserve for DMA buffers (default: 32)', wholeNumber(0, 16_384))
    .option('--slots <n>', 'slots for cards, empty ones included', wholeNumber(1, MAX_SLOTS))
    .option('--iommu', 'put a virtual IOMMU in front of the cards')
    .addOption(
      new Option('--observe', "observe the guest's processors: a trace then says who did each register access"),
    )
    .addOption(
      new Option(
        '--check <what>',
        `dma: look for DMA races between the driver and its cards; fail (exit code ${EXIT.RACED}) when there is one`,
      ).choices(['dma']),
    )
    .option('--suppress <file>', 'DMA races that are not to be reported, by function, register or channel')
    .option('--append <arguments>', "added to the kernel's command line")
    .option('--kvm', 'use KVM, which must work on this machine (default: TCG, which always works)')
    .option('--cold', 'boot the guest with the cards in it, instead of restoring a snapshot of a booted one')
    .option('--gdb [port]', "QEMU's gdb stub, for the guest's kernel (default: 1234)", wholeNumber(1, 65_535))
    .addOption(new Option('--debug', 'lift all time limits, for breakpoints in a card').conflicts('timeout'))
    .option('--artifacts <folder>', 'folder in which console log, QEMU errors and command line are kept')
    .option('--console', "print the guest's console on standard error while it runs")
    .option('--quiet', 'print only what the command prints')
    .addOption(new Option('--json', 'print one JSON object at the end, with the output in it').conflicts('console'));
  addNoticeOptions(addTraceOptions(command));
  return addSoftwareOptions(command)
    .addHelpText('after', help)
    .action(async (argv: string[], options: RunCommandOptions) => {
      const outcome = await run(argv, options).catch((error: unknown) => failed(error, options));
      if (options.json) print(JSON.stringify(outcome));
      endWith(outcome.exitCode);
    });
}

const help = `
The command sees GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE (/dev/uio0, /dev/vfio/noiommu-0) of the first card, and the
same with _2, _3 ... of those after it. Under a driver for platform devices (uio_pdrv_genirq, uio_dmem_genirq,
vfio-platform) also GHOSTCARD_PLATFORM_DEVICE, the first device's name, and GHOSTCARD_PLATFORM_DEVICES of all.

Exit code: the command's own; 128+n when signal n ended it; ${EXIT.TIMED_OUT} time limit; ${EXIT.NOT_STARTED} not started;
${EXIT.GUEST_DIED} the guest died; ${EXIT.NOTICED} a notice, with --strict; ${EXIT.RACED} a DMA race, with --check dma; ${EXIT.FAULT_NOT_FIRED} a fault (--faults) never fired; ${EXIT.GHOSTCARD} ghostcard or a card's model failed; ${EXIT.USAGE} wrong options.

Examples:
  ghostcard run --card reference --driver vfio-pci -- gc-identify
  ghostcard run --card ./my-card.ts --driver uio_pci_generic -- ./build/my_driver --self-test
  ghostcard run --card ./my-card.ts --shell`;

type Say = (text: string) => void;

/** With `--json`, what kept the command from running is in the object; a usage error is printed as text. */
function failed(error: unknown, { json }: RunCommandOptions): { exitCode: number; error: string } {
  if (!json || error instanceof UsageError) throw error;
  return { exitCode: report(error), error: textOf(error) };
}

/** Resolves to the exit code, and to what `--json` prints beside it. */
async function run(
  argv: string[],
  options: RunCommandOptions,
): Promise<{ exitCode: number; [member: string]: unknown }> {
  const stop = interruption();
  const plan = await planRun(argv, options);
  if (options.debug) watchdog.configure({ off: true });
  const say: Say = options.quiet || options.json ? () => {} : sayError;
  using recording = Recording.start(options, say);
  const provisioned = await provision({
    ...softwareOf(options),
    signal: stop,
    ...(!options.quiet && { onProgress: terminalProgress() }),
  });
  const notices = new NoticeLog(say);
  await using rig = await Rig.start({
    ...plan.rig,
    provisioned,
    cards: plan.cards.map((card) => ({ ...card, ...answerTimeoutOf(options), ...faultsFor(card, plan) })),
    ...(recording && { recorder: recording.recorder }),
    ...(options.console && { onConsole: (line: string) => console.error(line) }),
    onProgress: ({ message, elapsedMs }) => say(`${message} (${(elapsedMs / 1000).toFixed(1)} s)`),
    onNotice: (card, notice) => notices.add(card, notice),
    notices: noticeOptionsOf(options),
    signal: stop,
  });
  if (plan.gdbPort !== undefined) say(`to debug the guest's kernel with gdb: target remote 127.0.0.1:${plan.gdbPort}`);
  for (const { file, parameters } of plan.modules) {
    const { name } = await loadModule(rig.guest, file, { parameters });
    say(isModuleName(file) ? `the module ${name} is loaded` : `${file} is loaded as ${name}`);
  }
  const cards = await bindCards(rig, plan, say);
  for (const { bytes, guestPath, mode } of plan.pushes) await rig.guest.push(guestPath, bytes, mode);
  if (options.shell) say('a shell in the guest; leaving it ends the guest, and so does Ctrl-] pressed three times');
  const { result, ...outcome } = await runInGuest(rig.guest, plan.argv, {
    env: { ...cardVariables(cards), ...plan.environment },
    timeoutS: options.timeout,
    terminal: plan.terminal,
    collect: options.json === true,
  });
  await rig.settled();
  const concluded = withNotices(outcome, rig, { log: notices, strict: options.strict === true, say });
  const { exitCode, error } = withUnfired(withRaces(withModelErrors(concluded, rig), rig, say), rig, say);
  if (error !== undefined) sayError(error);
  const findings = rig.findings.length > 0 && { findings: rig.findings };
  const output = result && { ...result, stdout: String(result.stdout), stderr: String(result.stderr) };
  const trace = recording && { trace: recording.recorder.path };
  const faults = options.faults && { faults: timesFired(rig) };
  return {
    ...output,
    exitCode,
    ...(error !== undefined && { error }),
    cards,
    ...faults,
    ...trace,
    ...(rig.races.length > 0 && { races: rig.races }),
    ...notices.member,
    ...findings,
  };
}

/** The faults of a card, as a rig takes them. */
function faultsFor(card: RunPlan['cards'][number], { faults }: RunPlan): Partial<RigCard> {
  if (!('makeMultifunction' in card)) return { faults: faults.get(card.name) ?? [] };
  if (faults.size === 0) return {};
  return { functionFaults: functionsOf(card).map(({ name }) => faults.get(name) ?? []) };
}

type Bound = BoundCard & { card: string; driver: string };

async function bindCards(rig: Rig, plan: RunPlan, say: Say): Promise<Bound[]> {
  const { cards, drivers, bindTimeoutMs } = plan;
  const bound: Bound[] = [];
  const functions = cards.flatMap((card, index) =>
    rig.functionsOf(card.name).map((name, at) => ({ name, driver: drivers[index]?.[at] ?? drivers[index]?.[0] ?? '' })),
  );
  for (const { name, driver } of functions) {
    const where = driver
      ? await rig.bind(name, driver, bindTimeoutMs === undefined ? {} : { timeoutMs: bindTimeoutMs })
      : { pciAddress: await rig.guest.pciAddressOf(name), node: '' };
    bound.push({ card: name, driver, ...where });
    const devices = (where.platformDevices ?? []).map((device) => `${device.name} ${device.node}`.trim());
    const nodes = devices.length > 0 ? devices.join(', ') : where.node;
    say([`${name} is ${where.pciAddress}`, driver && `driver ${driver}`, nodes].filter(Boolean).join(', '));
    if (hasNoDma(driver, plan.rig)) {
      say(
        `${name} is behind an IOMMU, and ${driver} cannot map memory in it: DMA to physical addresses is refused. ` +
          'Use vfio-pci, or have the IOMMU pass them through (--append iommu=pt; arm64: iommu.passthrough=1).',
      );
    }
  }
  return bound;
}
