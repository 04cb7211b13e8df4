/** How a command ends: exit codes, errors, and what they print on standard error. */
import { CommanderError } from 'commander';
import { sayError } from './output';

/** A guest command's own exit code passes through, so ours are codes that programs rarely use. */
export const EXIT = {
  OK: 0,
  /** `demo`, `doctor`: something failed. `conformance`: a case failed. `trace diff`, `replay`: there is a difference. */
  FAILED: 1,
  /** Wrong options or arguments. */
  USAGE: 2,
  /** `run --check dma`: there was a race. */
  RACED: 120,
  /** `--strict`: there was a notice. */
  NOTICED: 121,
  /** `run --faults`: the command has succeeded, and a declared fault has never fired. */
  FAULT_NOT_FIRED: 122,
  /** The guest died under the command. */
  GUEST_DIED: 123,
  /** The command's time limit was reached; as timeout(1). */
  TIMED_OUT: 124,
  /** ghostcard itself failed (provisioning, launching, binding), or a card's model did. */
  GHOSTCARD: 125,
  /** The command could not be started in the guest; as the shell. */
  NOT_STARTED: 127,
  /** Plus the signal's number: a signal ended the command, or ghostcard. */
  SIGNAL: 128,
} as const;

/** The command line is wrong: the message says how, and nothing has been done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The code of a card file has thrown `cause`, whose stack says where. */
export class CardCodeError extends Error {
  override readonly name = 'CardCodeError';

  constructor(what: string, cause: unknown) {
    super(what, { cause });
  }
}

/** Prints the error that ended a command, and returns the exit code for it. */
export function report(error: unknown): number {
  eraseProgress();
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE; // it has been printed
  if (isSuppressed(error)) {
    const code = report(error.suppressed);
    sayError(`tearing down failed as well: ${textOf(error.error)}`);
    return code;
  }
  if (isInterruption(error)) {
    sayError(`stopped by ${error.signal}; everything has been torn down`);
    return EXIT.SIGNAL + error.signalNumber;
  }
  sayError(textOf(error));
  return error instanceof UsageError ? EXIT.USAGE : EXIT.GHOSTCARD;
}

/** As `report`, for what was thrown outside of a command, most likely by a card's timer: only its stack says where. */
export function reportUncaught(error: unknown): number {
  eraseProgress();
  sayError(`uncaught error: ${stackOf(error)}`);
  return EXIT.GHOSTCARD;
}

/** What JavaScript throws at an incorrect program. All others are thrown on purpose, with a message to be read. */
const PROGRAM_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError, URIError];

/** The message; of an incorrect program, the stack. */
export function textOf(error: unknown): string {
  if (isSuppressed(error)) return textOf(error.suppressed);
  if (error instanceof CardCodeError) return `${error.message}\n${stackOf(error.cause)}`;
  const isOfProgram = PROGRAM_ERRORS.some((type) => error instanceof type);
  return error instanceof Error && !isOfProgram ? error.message : stackOf(error);
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** A line on a terminal, which the next one takes the place of. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}

/** Removes what a progress line has left on a terminal. */
export function eraseProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
}

const isInterruption = (error: unknown): error is { signal: string; signalNumber: number } =>
  error instanceof Error && error.name === 'Interruption';

/** Thrown by `using`: first came `suppressed`, then `error`, while a resource was being disposed of. */
const isSuppressed = (error: unknown): error is { error: unknown; suppressed: unknown } =>
  error instanceof Error && error.name === 'SuppressedError' && 'error' in error && 'suppressed' in error;
