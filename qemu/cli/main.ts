/** The command line: what can be typed, and what an error becomes. Each command is a file in commands/. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { watchdog } from '../../emulator/watchdog';
import { demoCommand } from './commands/demo';
import { doctorCommand } from './commands/doctor';
import { provisionCommand } from './commands/provision';
import { runCommand } from './commands/run';
import { serveCommand } from './commands/serve';
import { EXIT } from './exit-codes';
import { cardsSpeakOnStandardError } from './output';
import { UsageError } from './usage-error';

const { version, description } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};

export function program(): Command {
  return new Command('ghostcard')
    .description(description)
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what is possible)')
    .addCommand(runCommand())
    .addCommand(serveCommand())
    .addCommand(provisionCommand())
    .addCommand(doctorCommand())
    .addCommand(demoCommand());
}

export async function main(argv: readonly string[]): Promise<void> {
  const root = program();
  cardsSpeakOnStandardError();
  watchdog.configure({ scope: 'process' });
  // What is thrown where nobody waits for it. Guards take down what this process leaves.
  process.on('uncaughtException', (error) => process.exit(report(error)));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.SIGNAL + constants.signals.SIGPIPE); // as `| head` does to any program
    throw error;
  });
  for (const command of [root, ...root.commands]) command.exitOverride();
  try {
    await root.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what is wrong, without a stack unless it is a fault of ours, and returns the exit code for it. */
function report(error: unknown): number {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K'); // what a progress line has left
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE; // it has spoken already
  if (error instanceof UsageError) {
    console.error(`ghostcard: ${error.message}`);
    return EXIT.USAGE;
  }
  if (isInterruption(error)) {
    console.error(`ghostcard: stopped by ${error.signal}; everything has been taken down`);
    return EXIT.SIGNAL + error.signalNumber;
  }
  const isExpected = error instanceof Error && error.name !== 'TypeError' && error.name !== 'RangeError';
  console.error(`ghostcard: ${error instanceof Error ? (isExpected ? error.message : error.stack) : String(error)}`);
  return EXIT.GHOSTCARD;
}

const isInterruption = (error: unknown): error is { signal: string; signalNumber: number } =>
  error instanceof Error && error.name === 'Interruption';
