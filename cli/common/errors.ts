/** What an error becomes: a message for people on standard error, and an exit code. */
import { CommanderError } from 'commander';
import { CardCodeError } from './card-code-error';
import { EXIT } from './exit-codes';
import { UsageError } from './usage-error';

/** An error that ended a command. Errors of ours speak for themselves; an error in a program has its stack. */
export function report(error: unknown): number {
  eraseProgress();
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE; // it has spoken already
  if (isSuppressed(error)) {
    const code = report(error.suppressed);
    console.error(`ghostcard: and taking things down failed as well: ${textOf(error.error)}`);
    return code;
  }
  if (isInterruption(error)) {
    console.error(`ghostcard: stopped by ${error.signal}; everything has been taken down`);
    return EXIT.SIGNAL + error.signalNumber;
  }
  console.error(`ghostcard: ${textOf(error)}`);
  return error instanceof UsageError ? EXIT.USAGE : EXIT.GHOSTCARD;
}

/** What is thrown where nobody waits for it, by a timer of a card most likely: only its stack says where. */
export function reportUncaught(error: unknown): number {
  eraseProgress();
  console.error(`ghostcard: an error that nobody caught: ${stackOf(error)}`);
  return EXIT.GHOSTCARD;
}

/** What the language itself throws at programs that are wrong; everything else is thrown on purpose, to be read. */
const PROGRAM_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError, URIError];

/** For people. */
export function textOf(error: unknown): string {
  if (isSuppressed(error)) return textOf(error.suppressed);
  if (error instanceof CardCodeError) return `${error.message}\n${stackOf(error.cause)}`;
  const isInProgram = PROGRAM_ERRORS.some((type) => error instanceof type);
  return error instanceof Error && !isInProgram ? error.message : stackOf(error);
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** What a progress line has left on a terminal. */
function eraseProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
}

const isInterruption = (error: unknown): error is { signal: string; signalNumber: number } =>
  error instanceof Error && error.name === 'Interruption';

/** Of `using`: `suppressed` came first, and `error` while what it had left was being disposed of. */
const isSuppressed = (error: unknown): error is { error: unknown; suppressed: unknown } =>
  error instanceof Error && error.name === 'SuppressedError' && 'error' in error && 'suppressed' in error;
