/**
 * Runs the programs that provisioning needs. Each ends with this process: on Ctrl-C through the abort signal, and when
 * this process is killed outright through the kernel's parent-death signal (setpriv(1), where it exists), so that
 * nothing goes on downloading behind the back of the next run.
 */
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { ProvisionError } from './errors';

export interface ToolRun {
  /** What this is for, in the words of an error: "unpacking the kernel's source". */
  readonly attempted: string;
  /** What the reader can do when the tool fails (not when it is missing). */
  readonly cure?: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
  /** Called with each line that the tool writes to its file descriptor 3. */
  readonly onStatusLine?: (line: string) => void;
}

/** Debian package that has a tool, where its name differs. */
const PACKAGE_OF: Record<string, string> = {
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  'cc': 'build-essential',
  'gcc': 'build-essential',
  'make': 'build-essential',
  'strip': 'binutils',
  'xz': 'xz-utils',
};
/** What any tool may run into here, whatever it does. */
export const ROOM_CURE =
  'make room in the folder of the cache (a first run takes about 0.6 GB for a while), or set GHOSTCARD_CACHE to another';
const LAST_LINES = 12;
const KILL_AFTER_MS = 3_000;

/** Full path of a program on the search path, or undefined. */
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

export function missingTool(name: string, attempted: string): ProvisionError {
  return new ProvisionError({
    attempted,
    seen: `this needs the program "${name}", which is not on PATH`,
    cure: `apt-get install ${PACKAGE_OF[name] ?? name}`,
  });
}

/** Runs a tool to its end and gives back what it wrote to standard output. */
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

/** Runs tools side by side, each reading what the one before it writes. What the last one writes is not kept. */
export async function runPipeline(commands: readonly (readonly string[])[], run: ToolRun): Promise<void> {
  const children = commands.map((argv, index) => start(argv, run, index === 0 ? 'ignore' : 'pipe', false));
  for (const [index, child] of children.slice(1).entries()) {
    const { stdout } = children[index] as (typeof children)[number];
    // When a reader ends early its writer must too: closing the pipe ends it with SIGPIPE. What was wrong is told below.
    // The reader's end shows as an error of the next write, or, when Node learns of it first, as a close and nothing else.
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

/** Throws what a reader needs to know, if the tool has failed or was ended. */
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
      : (run.cure ?? `look at what ${command} says above; the command was: ${command} ${args.join(' ')}`),
  });
}

function howItEnded(result: { exitCode?: number; signal?: string }): string {
  if (result.signal !== undefined) return `was ended by ${result.signal}`;
  return result.exitCode === undefined ? 'could not be started' : `ended with exit code ${result.exitCode}`;
}

const lastLines = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-LAST_LINES)
    .map((line) => `  ${line}`)
    .join('\n');
