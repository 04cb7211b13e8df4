/**
 * Runs the programs that provisioning needs. Each ends with this process: on Ctrl-C through the abort signal, and if
 * this process is killed through the kernel's parent-death signal (setpriv(1), if it exists), so that no download
 * continues while the next run is working.
 */
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { ProvisionError } from './errors';
import { WITHOUT_DEBIAN } from './other-hosts';

export interface ToolRun {
  /** The purpose, for error messages: "unpacking the kernel's source". */
  readonly attempted: string;
  /** What the user can do if the tool fails (not if it is missing). */
  readonly cure?: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
  /** Called with each line that the tool writes to file descriptor 3. */
  readonly onStatusLine?: (line: string) => void;
}

/** The Debian package of a tool, if its name differs. */
const PACKAGE_OF: Record<string, string> = {
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  'cc': 'build-essential',
  'gcc': 'build-essential',
  'make': 'build-essential',
  'strip': 'binutils',
  'xz': 'xz-utils',
};
/** The advice for a full disk, whatever the tool was doing. */
export const ROOM_CURE =
  'make room in the folder of the cache (a first run temporarily needs about 0.6 GB), or set GHOSTCARD_CACHE to another';
const LAST_LINES = 12;
const KILL_AFTER_MS = 3_000;

/** The full path of a program on the search path, or undefined. */
export function findTool(name: string, searchPath: string = process.env.PATH ?? ''): string | undefined {
  return searchPath
    .split(':')
    .map((folder) => path.resolve(folder, name))
    .find(isExecutableFile);
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function missingTool(name: string, attempted: string, searchPath?: string): ProvisionError {
  const debianPackage = PACKAGE_OF[name] ?? name;
  const hasApt = findTool('apt-get', searchPath) !== undefined;
  return new ProvisionError({
    attempted,
    seen: `this needs the program "${name}", which is not on PATH`,
    cure: hasApt
      ? `apt-get install ${debianPackage}`
      : `install it (in Debian, the package ${debianPackage} has it); or ${WITHOUT_DEBIAN}`,
  });
}

/** Runs a tool and returns its standard output. @throws ProvisionError if it fails or is missing */
export async function runTool(command: string, args: readonly string[], run: ToolRun): Promise<string> {
  const child = start([command, ...args], run, 'ignore');
  const statusLines = run.onStatusLine;
  if (statusLines !== undefined) {
    for await (const line of child.iterable({ from: 'fd3' })) statusLines(String(line));
  }
  const result = await child;
  check([command, ...args], result, run);
  return result.stdout;
}

/**
 * Runs tools as a pipeline. The output of the last one is discarded. @throws ProvisionError if one fails or is missing
 */
export async function runPipeline(commands: readonly (readonly string[])[], run: ToolRun): Promise<void> {
  const children = commands.map((argv, index) => start(argv, run, index === 0 ? 'ignore' : 'pipe', false));
  for (const [index, child] of children.slice(1).entries()) {
    const { stdout } = children[index] as (typeof children)[number];
    // When a reader ends early its writer must end too: closing the pipe ends it with SIGPIPE. The cause is reported
    // below. The reader's end shows as an error of the next write or, if Node notices it first, only as a close.
    child.stdin?.on('error', () => stdout?.destroy()).on('close', () => stdout?.destroy());
    stdout?.pipe(child.stdin as NodeJS.WritableStream);
  }
  const results = await Promise.all(children);
  for (const index of [...results.keys()].reverse()) {
    check(commands[index] as readonly string[], results[index] as ToolResult, run);
  }
}

interface ToolResult {
  readonly failed: boolean;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stdout?: string;
  readonly stderr: string;
}

function start(argv: readonly string[], run: ToolRun, stdin: 'ignore' | 'pipe', keepOutput = true) {
  const [command = '', ...args] = argv;
  const program = findTool(command);
  if (program === undefined) throw missingTool(command, run.attempted);
  const setpriv = findTool('setpriv');
  const wrapped = setpriv === undefined ? [program] : [setpriv, '--pdeathsig', 'TERM', '--', program];
  return execa(wrapped[0] as string, [...wrapped.slice(1), ...args], {
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    env: { ...run.env, LC_ALL: 'C.UTF-8' },
    stdio: [stdin, 'pipe', 'pipe', 'pipe'],
    buffer: { stdout: keepOutput },
    maxBuffer: 64 << 20,
    ...(run.signal === undefined ? {} : { cancelSignal: run.signal }),
    forceKillAfterDelay: KILL_AFTER_MS,
    reject: false,
  });
}

/** Throws an error that describes how the tool failed or was ended. */
function check([command = '', ...args]: readonly string[], result: ToolResult, run: ToolRun): void {
  run.signal?.throwIfAborted();
  if (!result.failed) return;
  const said = lastLines(`${result.stdout ?? ''}\n${result.stderr}`);
  const isFull = /No space left on device|enough free space|Disk quota exceeded/.test(said);
  throw new ProvisionError({
    attempted: run.attempted,
    seen: `${command} ${howItEnded(result)}\n${said}`,
    cure: isFull
      ? ROOM_CURE
      : (run.cure ?? `see the output of ${command} above; the command was: ${command} ${args.join(' ')}`),
  });
}

function howItEnded(result: { exitCode?: number; signal?: string }): string {
  if (result.signal !== undefined) return `was killed by ${result.signal}`;
  return result.exitCode === undefined ? 'could not be started' : `exited with code ${result.exitCode}`;
}

const lastLines = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-LAST_LINES)
    .map((line) => `  ${line}`)
    .join('\n');
