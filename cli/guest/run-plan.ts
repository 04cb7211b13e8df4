/** What `ghostcard run` is to do, from its options: a wrong one is reported here, before anything is started. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { basename, join, resolve } from 'node:path';
import { isModuleName, type MemoryLayout, parseModuleArgument, type Share } from '../../qemu/launch';
import { hostArch } from '../../qemu/provision';
import { type RigOptions } from '../../qemu/rig';
import {
  type CardSource,
  cardToPlug,
  distinctNames,
  functionsOf,
  type MultifunctionSource,
  type RemoteCardSource,
} from '../common/card-source';
import { Suppressions } from '../../instrumentation/races';
import { type Hiding, hiddenPaths } from '../../qemu/launch';
import { UsageError } from '../common/errors';
import { type FaultsByCard, loadFaults } from '../common/faults-file';
import { makeArtifactsFolder } from '../common/output-file';
import { type NoticeCommandOptions } from '../common/notices';
import { type TraceOptions } from '../common/recording';
import { HostTerminal } from './host-terminal';
import { type SoftwareOptions } from './software-options';

export interface RunCommandOptions extends SoftwareOptions, TraceOptions, NoticeCommandOptions {
  readonly card?: string[];
  readonly driver?: string[];
  readonly faults?: string[];
  readonly rw?: string[];
  readonly root?: string;
  readonly hide?: string[];
  readonly reveal?: string[];
  readonly minimal?: true;
  readonly module?: string[];
  readonly push?: string[];
  readonly env?: string[];
  readonly shell?: true;
  readonly tty?: true;
  readonly timeout?: number;
  readonly memory: number;
  readonly memoryLayout?: MemoryLayout;
  readonly cpus: number;
  readonly cpu?: string;
  readonly hugepages?: number;
  readonly slots?: number;
  readonly iommu?: true;
  readonly observe?: true;
  readonly check?: 'dma';
  readonly suppress?: string;
  readonly append?: string;
  readonly kvm?: true;
  readonly cold?: true;
  readonly gdb?: number | true;
  readonly debug?: true;
  readonly artifacts?: string;
  readonly console?: true;
  readonly quiet?: true;
  readonly json?: true;
}

export interface RunPlan {
  readonly argv: readonly string[];
  /** Run it on the user's terminal. */
  readonly terminal: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly cards: readonly (CardSource | MultifunctionSource | RemoteCardSource)[];
  readonly faults: FaultsByCard;
  /** Those of the functions of the card of the same position, or one for all; shorter when some cards have none. */
  readonly drivers: readonly (readonly string[])[];
  readonly modules: readonly { readonly file: string; readonly parameters: Readonly<Record<string, string>> }[];
  readonly pushes: readonly Push[];
  readonly gdbPort: number | undefined;
  /** How long a driver may take to get a card. */
  readonly bindTimeoutMs: number | undefined;
  readonly rig: Omit<RigOptions, 'provisioned' | 'cards'>;
}

export interface Push {
  readonly bytes: Buffer;
  readonly guestPath: string;
  readonly mode: number;
}

/** QEMU's own. */
const DEFAULT_GDB_PORT = 1234;
function requireObservable({ check, observe, kvm }: RunCommandOptions): void {
  if (!kvm || (check === undefined && !observe)) return;
  throw new UsageError(
    `${check === undefined ? '--observe' : '--check dma'} does not work with --kvm: there the guest runs on the real ` +
      'processors, which QEMU does not see at work. Leave --kvm out',
  );
}

function requireRaceOptions({ check, suppress }: RunCommandOptions): void {
  if (suppress === undefined) return;
  if (check === undefined) throw new UsageError('--suppress is a file for --check dma, which is not given');
  try {
    Suppressions.read(suppress);
  } catch (error) {
    throw new UsageError(`--suppress: ${(error as Error).message}`);
  }
}

/** A day: longer than anyone stays at a breakpoint. */
const DEBUG_TIMEOUT_MS = 86_400_000;
/** The guest's time goes on while QEMU waits for a card. Without this, its kernel would report a hang. */
const PATIENT_KERNEL = 'nosoftlockup sysctl.kernel.hung_task_timeout_secs=0 rcupdate.rcu_cpu_stall_suppress=1';
/** What the guest's kernel and the initramfs need beside huge pages. */
const KERNEL_MIB = 96;
const PAGE_MIB = 2;
const DEFAULT_HUGEPAGES = 32;

export async function planRun(command: readonly string[], options: RunCommandOptions): Promise<RunPlan> {
  if (options.shell) HostTerminal.require('--shell');
  else if (options.tty) HostTerminal.require('--tty');
  if (options.kvm && options.arch !== hostArch()) {
    throw new UsageError(
      `--kvm runs guests of this machine's architecture, ${hostArch()}, and --arch ${options.arch} is another: leave --kvm out`,
    );
  }
  requireObservable(options);
  requireRaceOptions(options);
  const root = options.root === undefined ? '/' : existingFolder('--root', options.root);
  const { memory, debug } = options;
  const argv = command.length === 0 && options.shell ? [defaultShell(options, root)] : command;
  if (argv.length === 0) throw new UsageError('there is no command to run: put it after --, or use --shell');
  const gdbPort = options.gdb === true ? DEFAULT_GDB_PORT : options.gdb;
  if (gdbPort !== undefined) await checkPortIsFree(gdbPort);
  const append = [options.append, gdbPort && 'nokaslr', debug && PATIENT_KERNEL].filter(Boolean).join(' ');
  const cards = distinctNames(await Promise.all((options.card ?? ['reference']).map(cardToPlug)));
  return {
    argv,
    terminal: (options.shell ?? options.tty) === true,
    environment: Object.fromEntries((options.env ?? []).map(parseVariable)),
    cards,
    faults: await loadFaults(options.faults ?? [], cards),
    drivers: driversFor(cards, options),
    modules: (options.module ?? []).map(parseModule),
    pushes: (options.push ?? []).map(parsePush),
    gdbPort,
    bindTimeoutMs: debug && DEBUG_TIMEOUT_MS,
    rig: {
      start: options.cold ? 'cold' : 'warm',
      hostRoot: options.minimal ? false : root,
      shares: (options.rw ?? []).map(parseShare),
      ...hidingOf(options),
      memoryMiB: memory,
      ...(options.memoryLayout !== undefined && { memoryLayout: options.memoryLayout }),
      cpus: options.cpus,
      ...(options.cpu !== undefined && { cpu: options.cpu }),
      hugepages: hugepagesFor(options),
      iommu: options.iommu === true,
      observe: options.observe === true,
      checkDma: options.check === 'dma',
      ...(options.suppress !== undefined && { suppressRaces: options.suppress }),
      accel: options.kvm ? 'kvm' : 'tcg',
      ...(options.slots !== undefined && { slots: options.slots }),
      ...(append !== '' && { kernelAppend: append }),
      ...(gdbPort !== undefined && { gdb: `tcp:127.0.0.1:${gdbPort}` }),
      ...(debug && { bootTimeoutMs: DEBUG_TIMEOUT_MS }),
      ...(options.artifacts !== undefined && { artifactsDir: makeArtifactsFolder(options.artifacts) }),
    },
  };
}

/** For `--debug`: how long QEMU waits for an answer of a card, in milliseconds. */
export const answerTimeoutOf = ({ debug }: RunCommandOptions): { answerTimeoutMs?: number } =>
  debug ? { answerTimeoutMs: DEBUG_TIMEOUT_MS } : {};

/** Whether DMA is refused: there is an IOMMU, and the driver offers user space no way to map memory in it. */
export const hasNoDma = (driver: string, { iommu, kernelAppend = '' }: RunPlan['rig']): boolean =>
  iommu === true && driver === 'uio_pci_generic' && !/(^|\s)iommu(=pt|\.passthrough=1)(\s|$)/.test(kernelAppend);

/** By default a few, or as many as there is room for. */
function hugepagesFor({ hugepages, memory }: RunCommandOptions): number {
  const most = Math.floor((memory - KERNEL_MIB) / PAGE_MIB);
  if (hugepages === undefined) return Math.min(DEFAULT_HUGEPAGES, most);
  if (hugepages <= most) return hugepages;
  throw new UsageError(
    `--hugepages ${hugepages} takes ${hugepages * PAGE_MIB} MiB, and the guest needs ${KERNEL_MIB} MiB more: ` +
      `--memory ${memory} is not enough. Reserve fewer, or give the guest more memory`,
  );
}

function driversFor(cards: RunPlan['cards'], { driver = [], slots }: RunCommandOptions): RunPlan['drivers'] {
  if (driver.length > cards.length) {
    throw new UsageError(`--driver was given ${driver.length} times for ${cards.length} card(s): one for each --card`);
  }
  if (slots !== undefined && cards.length > slots) {
    throw new UsageError(`--slots ${slots} is not enough for ${cards.length} cards: each takes one`);
  }
  const drivers = driver.map((names) => names.split(','));
  for (const [index, names] of drivers.entries()) {
    const card = cards[index]!;
    const count = names.length === 1 || 'socketPath' in card ? 1 : functionsOf(card).length;
    if (names.length === count) continue;
    throw new UsageError(
      `--driver ${driver[index]}: ${names.length} drivers for the card ${card.name}, which has ${count} function(s): name ` +
        'one for all, or one for each',
    );
  }
  const wrong = drivers.flat().find((name) => !/^[\w-]+$/.test(name));
  if (wrong === undefined) return drivers;
  throw new UsageError(`--driver ${wrong}: not the name of a kernel driver; load the file of a module with --module`);
}

/** The caller's, in a guest that has the same files and can run them; else bash if there is one; else busybox's. */
function defaultShell({ minimal, arch }: RunCommandOptions, root: string): string {
  if (minimal || (root === '/' && arch !== hostArch())) return 'sh';
  const candidates = [...(root === '/' && process.env.SHELL ? [process.env.SHELL] : []), '/bin/bash'];
  return candidates.find((path) => existsSync(join(root, path))) ?? '/bin/sh';
}

/** NAME=VALUE, or NAME for the caller's value. */
function parseVariable(setting: string): [string, string] {
  const [name = '', value] = setting.split(/=(.*)/s);
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw new UsageError(`--env ${setting}: write NAME=VALUE, or NAME for the value that it has here`);
  }
  const given = value ?? process.env[name];
  if (given !== undefined) return [name, given];
  throw new UsageError(`--env ${setting}: there is no such variable here; write ${name}=VALUE to set one`);
}

/** FOLDER[:GUEST]: at the same path in the guest when GUEST is left out. */
/** Checked here: an error of the launch would come after seconds. */
function hidingOf({ hide = [], reveal = [] }: RunCommandOptions): Hiding {
  try {
    hiddenPaths({ hide, reveal });
  } catch (error) {
    throw new UsageError(`--hide, --reveal: ${(error as Error).message}`);
  }
  return { hide, reveal };
}

function parseShare(argument: string): Share {
  const [folder = '', guestPath] = argument.split(/:(.*)/s);
  const hostPath = existingFolder('--rw', folder);
  try {
    accessSync(hostPath, constants.W_OK);
  } catch (error) {
    throw new UsageError(`--rw ${argument}: ${(error as Error).message}`);
  }
  return { hostPath, ...(guestPath !== undefined && { guestPath: absolute('--rw', argument, guestPath) }) };
}

/** HOST[:GUEST]: the guest path is /tmp/NAME when it is left out; one that ends in a slash is a folder. */
function parsePush(argument: string): Push {
  const [hostPath = '', given = '/tmp/'] = argument.split(/:(.*)/s);
  const target = absolute('--push', argument, given);
  const guestPath = target.endsWith('/') ? target + basename(hostPath) : target;
  try {
    return { bytes: readFileSync(hostPath), guestPath, mode: statSync(hostPath).mode & 0o777 };
  } catch (error) {
    throw new UsageError(`--push ${argument}: ${unreadable(hostPath, error)}`);
  }
}

function parseModule(argument: string): ReturnType<typeof parseModuleArgument> {
  let file = argument;
  try {
    const module = parseModuleArgument(argument);
    file = module.file;
    if (!isModuleName(file)) accessSync(file, constants.R_OK);
    return module;
  } catch (error) {
    throw new UsageError(`--module ${argument}: ${unreadable(file, error)}`);
  }
}

const unreadable = (file: string, error: unknown): string =>
  (error as NodeJS.ErrnoException).code === 'ENOENT' ? `there is no file ${resolve(file)}` : (error as Error).message;

function absolute(option: string, argument: string, guestPath: string): string {
  if (guestPath.startsWith('/')) return guestPath;
  throw new UsageError(`${option} ${argument}: '${guestPath}' must be an absolute path in the guest`);
}

function existingFolder(option: string, folder: string): string {
  const path = resolve(folder);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  throw new UsageError(`${option} ${folder}: there is no folder ${path}`);
}

async function checkPortIsFree(port: number): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch (error) {
    throw new UsageError(`--gdb ${port}: ${(error as Error).message}; give another port`);
  } finally {
    server.close();
  }
}
