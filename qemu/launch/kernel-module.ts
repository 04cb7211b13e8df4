/**
 * Loads kernel modules into a guest: files of the user, and modules of the guest's kernel by name. What the file itself shows to be wrong is reported before the guest is
 * involved. If the kernel refuses a module, the error includes its log, since "Invalid argument" alone says nothing.
 *
 * Source: Linux include/linux/vermagic.h; init_module(2) for the errors.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { modinfo, moduleName } from '../guest-image';
import { type ExecResult } from '../channel';
import { nearestNames } from '../../emulator/registers/nearest-names';
import { type Guest, OWN } from './guest';

/** How a kernel module is loaded. */
export interface LoadModuleOptions {
  /** The module's parameters: { speed: 3, name: 'x' } becomes "speed=3 name=x". */
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** Time limit for the module's init function. */
  readonly timeoutMs?: number;
}

/** A kernel module that has been loaded. */
export interface LoadedModule {
  /** Name in /sys/module and for rmmod. */
  readonly name: string;
  /** Lines of the kernel log from while the module was loaded. */
  readonly kernelLog: readonly string[];
}

const DEFAULT_TIMEOUT_MS = 60_000;

const MODULE_COMMAND = '/usr/bin/ghostcard-module';
/** Modules of the guest's kernel are given by name. */
export const isModuleName = (text: string): boolean => /^[\w-]+$/.test(text);

/** Its exit code if a dependency of the module cannot be loaded. No errno has this value. */
const NO_DEPENDENCY = 200;

/**
 * Loads the module in `file`, a path on the host, or a module of the guest's kernel (`ioatdma`), after the modules of the
 * guest that it depends on. @throws Error if the module does not fit the guest, or the guest refuses it
 */
export async function loadModule(
  guest: Pick<Guest, 'run' | 'kernel' | 'loadedModules'>,
  file: string,
  { parameters = {}, timeoutMs = DEFAULT_TIMEOUT_MS }: LoadModuleOptions = {},
): Promise<LoadedModule> {
  const assignments = Object.entries(parameters).map(([parameter, value]) => `${parameter}=${quoted(value)}`);
  if (isModuleName(file)) return loadByName(guest, moduleName(file), assignments, timeoutMs);
  const data = readFileSync(file);
  const { name, release, needed } = readModule(file, data, Object.keys(parameters));
  const said = await guest.run(['uname', '-r', '-m'], OWN);
  const [running, machine] = said.stdout.toString().trim().split(' ');
  if (release !== running) {
    throw new Error(
      `The module ${file} was built for kernel ${release}, but the guest runs ${running}.\n` +
        `What to do: ${cureForOtherKernel(guest, file, name, machine)}`,
    );
  }
  const result = await guest.run([MODULE_COMMAND, 'load', name, needed.join(' '), ...assignments], {
    ...OWN,
    stdin: data,
    timeoutMs,
  });
  if (result.exitCode === NO_DEPENDENCY) {
    throw new Error(
      `The module ${file} needs ${needed.join(', ')}, which the guest cannot load: ${lastLine(result.stderr)}\n` +
        'What to do: load these modules first, from files of your own.',
    );
  }
  if (result.exitCode !== 0) throw refusal(`load the module ${file}`, errnoOf(result), result, timeoutMs);
  guest.loadedModules.push({ name, data });
  return { name, kernelLog: linesOf(result.stdout) };
}

/** Loads a module that the guest's modprobe finds. */
async function loadByName(
  guest: Pick<Guest, 'run' | 'kernel' | 'loadedModules'>,
  name: string,
  assignments: readonly string[],
  timeoutMs: number,
): Promise<LoadedModule> {
  const result = await guest.run([MODULE_COMMAND, 'probe', name, ...assignments], { ...OWN, timeoutMs });
  if (result.exitCode !== 0 && lastLine(result.stderr).endsWith('not found in modules.dep')) {
    throw new Error(`The guest's kernel has no module ${name}.${alternatives(guest, name)}`);
  }
  if (result.exitCode !== 0) throw refusal(`load the module ${name}`, undefined, result, timeoutMs);
  const kernelLog = linesOf(result.stdout);
  const unknown = kernelLog.map((line) => /unknown parameter '(\w+)' ignored/.exec(line)?.[1]).find(Boolean);
  if (unknown !== undefined) throw new Error(`The module ${name} has no parameter '${unknown}'.`);
  return { name, kernelLog };
}

/** What to do when the guest's kernel lacks a module. */
function alternatives({ kernel }: Pick<Guest, 'kernel'>, wanted: string): string {
  const near = nearestNames(wanted, kernelModules(kernel.modulesFolder), 3);
  const names = near.length === 0 ? '' : ` Names like it: ${near.join(', ')}.`;
  const generic = kernel.options?.includes('--kernel')
    ? ''
    : " Debian's generic kernel has more modules: --kernel generic.";
  return `${names}${generic} For a module of your own, give its file.`;
}

/** The names of all modules of the guest's kernel. */
const kernelModules = (folder: string | undefined): string[] =>
  folder === undefined
    ? []
    : readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((file) =>
        /\.ko(\.\w+)?$/.test(file) ? [moduleName(file)] : [],
      );

function cureForOtherKernel({ kernel }: Pick<Guest, 'kernel'>, file: string, name: string, machine = ''): string {
  if (kernelModules(kernel.modulesFolder).includes(name)) {
    return `the guest's kernel has this module itself: load it by its name, ${name}`;
  }
  const arch = machine === 'aarch64' ? ' --arch arm64' : '';
  const options = (kernel.options ?? []).map((word) => ` ${word}`).join('');
  const folder = path.dirname(path.resolve(file));
  const isSource = ['Kbuild', 'Makefile'].some((each) => existsSync(path.join(folder, each)));
  const source = isSource ? folder : 'THE_FOLDER_OF_ITS_SOURCE';
  return `rebuild it with make -C "$(npx ghostcard kernel-build${arch}${options})" M=${source} modules`;
}

/** Unloads a module, which unbinds its driver from all devices. Returns the lines of the kernel log from meanwhile. */
export async function unloadModule(
  guest: Pick<Guest, 'run'>,
  name: string,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: Pick<LoadModuleOptions, 'timeoutMs'> = {},
): Promise<readonly string[]> {
  const result = await guest.run([MODULE_COMMAND, 'unload', name], { ...OWN, timeoutMs });
  if (result.exitCode !== 0) throw refusal(`unload the module ${name}`, undefined, result, timeoutMs);
  return linesOf(result.stdout);
}

/** Parses "my.ko,speed=3,ids=1,2" or "ioatdma,…" into a file or name, and its parameters. A part without "=" continues the value before it. */
export function parseModuleArgument(text: string): { file: string; parameters: Record<string, string> } {
  const [, file = text, rest = ''] = /^(.*?\.ko|[\w-]+(?=,\w+=)),(.*)$/.exec(text) ?? [];
  const parameters: Record<string, string> = {};
  let last: string | undefined;
  for (const piece of rest === '' ? [] : rest.split(',')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(piece) ?? [];
    if (name === undefined && last === undefined) {
      throw new Error(`"${piece}" in "${text}" is not a module parameter: write FILE.ko,name=value or NAME,name=value`);
    }
    if (name === undefined) parameters[last!] += `,${piece}`;
    else parameters[(last = name)] = value;
  }
  return { file, parameters };
}

function readModule(
  file: string,
  data: Buffer,
  parameters: readonly string[],
): { name: string; release: string; needed: string[] } {
  const info = modinfo(data);
  const valueOf = (wanted: string): string | undefined => info.find(([name]) => name === wanted)?.[1];
  const vermagic = valueOf('vermagic');
  if (vermagic === undefined) {
    throw new Error(
      `${file} is not a loadable kernel module: it has no vermagic. Use the uncompressed .ko file that the build creates.`,
    );
  }
  const known = info.filter(([name]) => name === 'parmtype').map(([, value]) => value.split(':')[0]!);
  // The kernel itself only logs an unknown parameter and continues.
  for (const parameter of parameters.filter((each) => !known.includes(each))) {
    throw new Error(
      `The module ${file} has no parameter '${parameter}'. Its parameters: ${known.join(', ') || 'none'}.`,
    );
  }
  return {
    name: valueOf('name') ?? moduleName(path.basename(file)),
    release: vermagic.split(' ')[0]!,
    needed: (valueOf('depends') ?? '').split(',').filter((other) => other !== ''),
  };
}

/** busybox's insmod exits with the errno of the system call. */
const errnoOf = ({ exitCode }: ExecResult): string | undefined =>
  Object.entries(constants.errno).find(([, number]) => number === exitCode)?.[0];

function refusal(what: string, errno: string | undefined, result: ExecResult, timeoutMs: number): Error {
  const { timedOut, stderr } = result;
  const reason = [errno, lastLine(stderr)].filter((part) => part !== undefined).join(', ');
  const outcome = timedOut ? `not finished within ${timeoutMs} ms` : reason;
  const log = withoutRepetition(linesOf(result.stdout));
  const said = log.length === 0 ? 'Kernel log: (nothing)' : `Kernel log:\n  ${log.join('\n  ')}`;
  return new Error(`Cannot ${what} in the guest: ${outcome}\n${said}`);
}

/** When refused, busybox's insmod tries the kernel's other system call, with the same result. */
function withoutRepetition(log: readonly string[]): readonly string[] {
  const untimed = log.map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
  const half = log.length / 2;
  const isTwice = untimed.slice(0, half).every((line, index) => line === untimed[half + index]);
  return Number.isInteger(half) && isTwice ? log.slice(0, half) : log;
}

/** The kernel splits parameters at white space outside quotation marks. */
const quoted = (value: string | number): string => (/\s/.test(String(value)) ? `"${value}"` : String(value));

const lastLine = (output: Buffer): string => linesOf(output).at(-1) ?? 'no output';

const linesOf = (output: Buffer): string[] =>
  output
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
