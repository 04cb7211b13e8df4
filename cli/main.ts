/** The command line: what can be typed, and what an error becomes. The commands are in commands/ and guest/. */
import { constants } from 'node:os';
import { Command } from 'commander';
import { watchdog } from '../emulator/watchdog';
import { description, version } from '../emulator/folders';
import { checkEnvironment } from './environment';
import { EXIT, report, reportUncaught } from './common/errors';
import { giveUpUnreadOutput } from './common/interruption';
import { sayError } from './common/output';
import { endWith, exitWith, insistOnExitCode, keepFromCards, standardOutput } from './common/own-process';

/** Loaded when they are used: --version does not wait for all that a guest needs. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  'run': async () => (await import('./guest/run.ts')).runCommand(),
  'serve': async () => (await import('./commands/serve.ts')).serveCommand(),
  'conformance': async () => (await import('./commands/conformance.ts')).conformanceCommand(),
  'replay': async () => (await import('./commands/replay.ts')).replayCommand(),
  'trace': async () => (await import('./commands/trace.ts')).traceCommand(),
  'provision': async () => (await import('./guest/provision.ts')).provisionCommand(),
  'kernel-build': async () => (await import('./guest/provision.ts')).kernelBuildCommand(),
  'kernels': async () => (await import('./guest/kernels.ts')).kernelsCommand(),
  'cache': async () => (await import('./guest/cache.ts')).cacheCommand(),
  'doctor': async () => (await import('./guest/doctor.ts')).doctorCommand(),
  'demo': async () => (await import('./guest/demo.ts')).demoCommand(),
  'completion': async () => (await import('./commands/completion.ts')).completionCommand(() => program()),
};

/** The command line with these commands. Default: all. */
export async function program(names: readonly string[] = Object.keys(commands)): Promise<Command> {
  const root = new Command('ghostcard')
    .description(description)
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)');
  for (const name of names) root.addCommand(await commands[name]!());
  return root;
}

const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];

/** The commands that the first argument needs: its own; undefined, for all, for help and for what is misspelt. */
function namesFor(argument: string | undefined): string[] | undefined {
  if (argument === '--version' || argument === '-V') return [];
  return argument !== undefined && Object.hasOwn(commands, argument) ? [argument] : undefined;
}

export async function main(argv: readonly string[]): Promise<void> {
  try {
    // First of all: without a cache, loading a command takes seconds.
    await checkEnvironment(process.env, sayError);
  } catch (error) {
    endWith(report(error));
    return;
  }
  const root = await program(namesFor(argv[2]));
  keepFromCards();
  watchdog.configure({ scope: 'process' });
  // Guards tear down what this process leaves.
  process.on('uncaughtException', (error) => exitWith(reportUncaught(error)));
  standardOutput.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') exitWith(EXIT.SIGNAL + constants.signals.SIGPIPE); // as `| head` does to any program
    throw error;
  });
  for (const command of withSubcommands(root)) command.exitOverride();
  process.once('beforeExit', reportUnfinished);
  try {
    await root.parseAsync(argv);
  } catch (error) {
    endWith(report(error));
  } finally {
    process.off('beforeExit', reportUnfinished);
    insistOnExitCode();
    giveUpUnreadOutput();
  }
}

/** Node ends when nothing is left to wait for, although the command still waits: with 0, if nobody says otherwise. */
function reportUnfinished(): void {
  sayError('This command has not finished, and waits for something that nothing can bring about.');
  endWith(EXIT.GHOSTCARD);
}
