/**
 * The line of the test that made a request. Errors of a guest are created where its answer arrives, so their stacks have
 * nothing of the test; a failed test should show its own line.
 */
import { inPackage } from '../emulator/folders.ts';

/** As sources, which stacks name where there are source maps, and as JavaScript. */
const OWN_FOLDERS = ['harness', 'qemu', 'dist/harness', 'dist/qemu'].map(inPackage);
const isFrame = (line: string): boolean => /^ {4}at /.test(line);
/** Frames of ghostcard and of Node, which are of no use to the author of a test. */
const isOurs = (line: string): boolean =>
  OWN_FOLDERS.some((folder) => line.includes(`${folder}/`)) || line.includes('(node:');

/**
 * Runs `work`. The stack of its error ends with the line that called `entry`, a function on the stack now. Frames of the
 * user's own code, such as the constructor of a card, stay before it.
 */
export function withCaller<T>(entry: (...args: never[]) => unknown, work: () => Promise<T>): Promise<T> {
  const caller = callerOf(entry);
  return work().catch((error: unknown) => {
    throw withFrames(caller, error);
  });
}

/** The frames below `entry`, innermost first. */
export function callerOf(entry: (...args: never[]) => unknown): readonly string[] {
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, entry);
  return here.stack?.split('\n').filter(isFrame) ?? [];
}

/** Returns the same error: all requests that die with a guest share one, and its class is tested for. */
export function withFrames(caller: readonly string[], error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const known = (error.stack ?? '')
    .split('\n')
    .filter((line) => isFrame(line) && !isOurs(line) && !caller.includes(line));
  error.stack = [`${error.name}: ${error.message}`, ...known, ...caller].join('\n');
  return error;
}
