/** Who may write to standard output: the command line itself. */

/** One line on standard output. */
export const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What card models print goes to standard error: standard output belongs to the guest's command, or to our JSON. */
export function cardsSpeakOnStandardError(): void {
  globalThis.console = new console.Console(process.stderr);
}
