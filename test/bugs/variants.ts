/** Makes the drivers: the correct ones, and a variant of one for each bug. Line numbers are those of the variant. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { buildModules, type GuestArch, kernelBuild } from '../../qemu/provision';
import { findCompiler } from '../../qemu/provision/steps/compiler';
import { Context } from '../../qemu/provision/steps/context';
import { type Bug, type DriverName } from './bug';

const run = promisify(execFile);
const guestTools = join(__dirname, '..', '..', 'guest-tools');

export const sourceOf = (driver: DriverName): string => join(__dirname, driver, 'driver.c');

/** The source of a bug's variant. @throws Error if the change does not fit the correct driver */
export function variantOf({ name, driver, change }: Bug): string {
  let text = readFileSync(sourceOf(driver), 'utf8');
  for (const [from, to] of change) {
    const found = text.split(from).length - 1;
    if (found !== 1) throw new Error(`${name}: the correct driver has these lines ${found} times, not once:\n${from}`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** Where something is missing, the line to be named may be ahead of the place. */
const LINES_BEFORE = 4;

/** The number of the line that a report should name. @throws Error if the variant has no such line */
export function lineOf(bug: Bug): number {
  const correct = readFileSync(sourceOf(bug.driver), 'utf8').split('\n');
  const lines = variantOf(bug).split('\n');
  const first = lines.findIndex((line, index) => line !== correct[index]);
  const at = lines.findIndex((line, index) => index >= first - LINES_BEFORE && line.includes(bug.line));
  if (at < 0) throw new Error(`${bug.name}: no line at the change has the text ${bug.line}`);
  return at + 1;
}

/** The change as a diff. */
export async function diffOf(bug: Bug, folder: string): Promise<string> {
  const file = writeSource(bug, folder);
  const args = [
    'diff',
    '--no-index',
    '--no-prefix',
    '-U2',
    relative(folder, sourceOf(bug.driver)),
    relative(folder, file),
  ];
  // Exit code 1 says that there are differences.
  const { stdout } = await run('git', args, { cwd: folder }).catch((error: { stdout: string }) => error);
  return stdout.split('\n').slice(4).join('\n');
}

/** The correct driver is the variant without a bug. */
export type Subject = Bug | { readonly name: string; readonly driver: DriverName; readonly change?: undefined };
export const correct = (driver: DriverName): Subject => ({ name: `correct-${driver}`, driver });

function writeSource(subject: Subject, folder: string): string {
  const { name, driver, change } = subject;
  const text = change === undefined ? readFileSync(sourceOf(driver), 'utf8') : variantOf(subject);
  const file = join(folder, driver === 'module' ? `${moduleNameOf(name)}.c` : join(name, 'driver.c'));
  mkdirSync(join(file, '..'), { recursive: true });
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  return file;
}

/** The file of a variant's source, as reports name it. */
export const fileOf = ({ name, driver }: Bug): string => (driver === 'module' ? `${moduleNameOf(name)}.c` : 'driver.c');

export const moduleNameOf = (name: string): string => name.replaceAll('-', '_');

/** Builds drivers into a folder. Returns the file of each by its name: a program, or a module. */
export async function buildDrivers(
  subjects: readonly Subject[],
  arch: GuestArch,
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  mkdirSync(folder, { recursive: true });
  const built = new Map<string, string>();
  const programs = subjects.filter(({ driver }) => driver === 'user');
  if (programs.length > 0) {
    const library = await buildLibrary(arch, folder);
    for (const subject of programs) built.set(subject.name, await buildProgram(writeSource(subject, folder), library));
  }
  const modules = subjects.filter(({ driver }) => driver === 'module');
  for (const [name, file] of await buildKernelModules(modules, arch, join(folder, 'modules'))) built.set(name, file);
  return built;
}

interface Library {
  readonly compiler: string;
  readonly objects: readonly string[];
}

const FLAGS = ['-O2', '-g', '-std=gnu11', '-Wall', '-Wextra', '-static', '-I', guestTools];

/** The library of guest-tools, compiled once for all variants. */
async function buildLibrary(arch: GuestArch, folder: string): Promise<Library> {
  const compiler = await compilerFor(arch);
  const cwd = join(folder, 'lib');
  rmSync(cwd, { recursive: true, force: true });
  mkdirSync(cwd);
  const lib = join(guestTools, 'lib');
  const sources = readdirSync(lib).flatMap((name) => (name.endsWith('.c') ? [join(lib, name)] : []));
  await run(compiler, [...FLAGS, '-c', ...sources], { cwd });
  return { compiler, objects: readdirSync(cwd).map((name) => join(cwd, name)) };
}

async function compilerFor(guestArch: GuestArch): Promise<string> {
  await kernelBuild({ guestArch }); // fetches the compiler, if it is not there
  const compiler = await findCompiler(new Context({ guestArch }));
  if (compiler === undefined) throw new Error(`there is no compiler for ${guestArch} after provisioning`);
  return compiler.command;
}

async function buildProgram(source: string, { compiler, objects }: Library): Promise<string> {
  const program = join(source, '..', 'driver');
  await run(compiler, [...FLAGS, '-o', program, source, ...objects]);
  return program;
}

/** All by one call of kbuild. */
async function buildKernelModules(
  subjects: readonly Subject[],
  guestArch: GuestArch,
  folder: string,
): Promise<[name: string, file: string][]> {
  if (subjects.length === 0) return [];
  mkdirSync(folder, { recursive: true });
  cpSync(join(guestTools, 'include', 'ghostcard_ref_regs.h'), join(folder, 'ghostcard_ref_regs.h'));
  for (const subject of subjects) writeSource(subject, folder);
  const names = subjects.map(({ name }) => name);
  // The generated header includes it.
  writeFileSync(join(folder, 'stdint.h'), '#include <linux/types.h>\n');
  writeFileSync(
    join(folder, 'Kbuild'),
    ['ccflags-y := -g -I$(src)', ...names.map((name) => `obj-m += ${moduleNameOf(name)}.o`), ''].join('\n'),
  );
  await buildModules(folder, { guestArch });
  return names.map((name) => [name, join(folder, `${moduleNameOf(name)}.ko`)]);
}
