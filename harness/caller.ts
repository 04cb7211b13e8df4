/**
 * Where in the test something was asked for. Errors of a guest are made where its answer arrives, with nothing of the test
 * in their stacks; a test that fails is to show its own line.
 */
import { join } from 'node:path';

const OWN_FOLDERS = [__dirname, join(__dirname, '..', 'qemu')];
const isFrame = (line: string): boolean => /^ {4}at /.test(line);
/** Of no use to who has written the test: ours, and Node's. */
const isOurs = (line: string): boolean =>
  OWN_FOLDERS.some((folder) => line.includes(`${folder}/`)) || line.includes('(node:');

/**
 * Does `work`; its error ends with the line that has called `entry`, a function on the stack now. Frames of the user's own
 * code, such as the constructor of a card, stay before it.
 */
export function tellingCaller<T>(entry: (...args: never[]) => unknown, work: () => Promise<T>): Promise<T> {
  const caller = callerOf(entry);
  return work().catch((error: unknown) => {
    throw toldBy(caller, error);
  });
}

/** The frames below `entry`, innermost first. */
export function callerOf(entry: (...args: never[]) => unknown): readonly string[] {
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, entry);
  return here.stack?.split('\n').filter(isFrame) ?? [];
}

/** The same error: what dies with the guest shares one, and is recognised by its class. */
export function toldBy(caller: readonly string[], error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const known = (error.stack ?? '')
    .split('\n')
    .filter((line) => isFrame(line) && !isOurs(line) && !caller.includes(line));
  error.stack = [`${error.name}: ${error.message}`, ...known, ...caller].join('\n');
  return error;
}
