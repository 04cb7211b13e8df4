/**
 * Loads kernel modules of the user's own into a guest. What can be told from the file is told before the guest is asked;
 * when the kernel refuses, its own words come along, since "Invalid argument" says nothing.
 *
 * Source: Linux include/linux/vermagic.h; init_module(2) for the errors.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { modinfo, moduleName } from '../guest-image';
import { type ExecResult } from '../channel';
import { type Guest, OWN } from './guest';

export interface LoadModuleOptions {
  /** The module's parameters: { speed: 3, name: 'x' } is "speed=3 name=x". */
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** Longest time that the module's init may take. */
  readonly timeoutMs?: number;
}

export interface LoadedModule {
  /** As /sys/module and rmmod know it. */
  readonly name: string;
  /** What the kernel wrote while the module was loaded. */
  readonly kernelLog: readonly string[];
}

type ModuleGuest = Pick<Guest, 'run'>;

const DEFAULT_TIMEOUT_MS = 60_000;

const MODULE_COMMAND = '/usr/bin/ghostcard-module';
/** Its exit code when a module that the user's one needs cannot be loaded. No errno has this number. */
const NO_DEPENDENCY = 200;

/** Loads the module in `file`, a file of the host, with what it needs of the guest's own modules. */
export async function loadModule(
  guest: ModuleGuest,
  file: string,
  { parameters = {}, timeoutMs = DEFAULT_TIMEOUT_MS }: LoadModuleOptions = {},
): Promise<LoadedModule> {
  const data = readFileSync(file);
  const { name, release, needed } = readModule(file, data, Object.keys(parameters));
  const said = await guest.run(['uname', '-r', '-m'], OWN);
  const [running, machine] = said.stdout.toString().trim().split(' ');
  if (release !== running) {
    throw new Error(
      `The module ${file} was built for kernel ${release}, the guest runs ${running}.\n` +
        `What to do: build it anew, make -C "$(npx ghostcard kernel-build${machine === 'aarch64' ? ' --arch arm64' : ''})" M=${path.dirname(path.resolve(file))} modules`,
    );
  }
  const assignments = Object.entries(parameters).map(([parameter, value]) => `${parameter}=${quoted(value)}`);
  const result = await guest.run([MODULE_COMMAND, 'load', name, needed.join(' '), ...assignments], {
    ...OWN,
    stdin: data,
    timeoutMs,
  });
  if (result.exitCode === NO_DEPENDENCY) {
    throw new Error(
      `The module ${file} needs ${needed.join(', ')}, which the guest cannot load: ${lastLine(result.stderr)}\n` +
        'What to do: load what it needs first, as modules of your own.',
    );
  }
  if (result.exitCode !== 0) throw refusal(`load the module ${file}`, errnoOf(result), result, timeoutMs);
  return { name, kernelLog: linesOf(result.stdout) };
}

/** Takes a module away again. Its driver lets go of all devices. Gives back what the kernel wrote meanwhile. */
export async function unloadModule(
  guest: ModuleGuest,
  name: string,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: Pick<LoadModuleOptions, 'timeoutMs'> = {},
): Promise<readonly string[]> {
  const result = await guest.run([MODULE_COMMAND, 'unload', name], { ...OWN, timeoutMs });
  if (result.exitCode !== 0) throw refusal(`unload the module ${name}`, undefined, result, timeoutMs);
  return linesOf(result.stdout);
}

/** "my.ko,speed=3,ids=1,2" as it is typed: a file, and parameters; what has no "=" goes on with the value before it. */
export function parseModuleArgument(text: string): { file: string; parameters: Record<string, string> } {
  const [, file = text, rest = ''] = /^(.*?\.ko),(.*)$/.exec(text) ?? [];
  const parameters: Record<string, string> = {};
  let last: string | undefined;
  for (const piece of rest === '' ? [] : rest.split(',')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(piece) ?? [];
    if (name === undefined && last === undefined) {
      throw new Error(`"${piece}" in "${text}" is no parameter of a module: write FILE.ko,name=value`);
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
      `${file} is no kernel module that can be loaded: it has no vermagic. It must be the uncompressed .ko file that the build has made.`,
    );
  }
  const known = info.filter(([name]) => name === 'parmtype').map(([, value]) => value.split(':')[0]!);
  // The kernel itself only writes a line about it, and goes on.
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

/** busybox's insmod ends with the errno of the system call. */
const errnoOf = ({ exitCode }: ExecResult): string | undefined =>
  Object.entries(constants.errno).find(([, number]) => number === exitCode)?.[0];

function refusal(what: string, errno: string | undefined, result: ExecResult, timeoutMs: number): Error {
  const { timedOut, stderr } = result;
  const reason = [errno, lastLine(stderr)].filter((part) => part !== undefined).join(', ');
  const outcome = timedOut ? `no end of it within ${timeoutMs} ms` : reason;
  const log = withoutRepetition(linesOf(result.stdout));
  const said = log.length === 0 ? 'The kernel wrote nothing about it.' : `The kernel wrote:\n  ${log.join('\n  ')}`;
  return new Error(`The guest could not ${what}: ${outcome}\n${said}`);
}

/** busybox's insmod, when refused, tries the other of the kernel's two calls, with the same result. */
function withoutRepetition(log: readonly string[]): readonly string[] {
  const untimed = log.map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
  const half = log.length / 2;
  const isTwice = untimed.slice(0, half).every((line, index) => line === untimed[half + index]);
  return Number.isInteger(half) && isTwice ? log.slice(0, half) : log;
}

/** The kernel splits parameters at blanks, quotation marks excepted. */
const quoted = (value: string | number): string => (/\s/.test(String(value)) ? `"${value}"` : String(value));

const lastLine = (output: Buffer): string => linesOf(output).at(-1) ?? 'nothing was said';

const linesOf = (output: Buffer): string[] =>
  output
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
