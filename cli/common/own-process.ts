/**
 * How this process ends, and what it prints on standard output: the command decides that, and not the cards, whose code
 * runs in the same process.
 */
const { stdout, exit } = process;
let exitCode = 0;

/** Has the guest's command, or our JSON, and nothing else. */
export const standardOutput = stdout;

/** The exit code when the command is done. */
export function endWith(code: number): void {
  exitCode = code;
  process.exitCode = code;
}

export const decidedExitCode = (): number => exitCode;

/** Ends this process at once. */
export function exitWith(code: number): never {
  endWith(code);
  return exit.call(process, code);
}

/** From now on what cards print goes to standard error, and `process.exit()` is an error of the card that calls it. */
export function keepFromCards(): void {
  globalThis.console = new console.Console(process.stderr);
  Object.defineProperty(process, 'stdout', { configurable: true, enumerable: true, get: () => process.stderr });
  process.exit = (code) => {
    throw new Error(
      `A card called process.exit(${code ?? ''}). It would end the run with an exit code of its own; throw an error instead.`,
    );
  };
}

/** When the command is done: an exit code that cards have set, also while this process ends, does not count. */
export function insistOnExitCode(): void {
  process.on('exit', () => (process.exitCode = exitCode));
}
