/** Runs a command on a terminal of its own, and types. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export type TerminalStep =
  { wait: string } | { type: string } | { size: [columns: number, rows: number] } | { kill: number };

export interface TerminalOutcome {
  /** Negative: the signal that ended it. */
  readonly exitCode: number;
  readonly output: string;
  /** Whether the terminal is in the mode in which the command found it. */
  readonly modeRestored: boolean;
}

const TIMEOUT_MS = 110_000;

export function onTerminal(
  steps: readonly TerminalStep[],
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): TerminalOutcome {
  const driver = join(__dirname, 'on-terminal.py');
  const args = [driver, JSON.stringify(steps), ...command];
  const { status, stdout, stderr } = spawnSync('python3', args, { env, encoding: 'utf8', timeout: TIMEOUT_MS });
  if (status !== 0) throw new Error(`python3 ${driver} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as TerminalOutcome;
}
