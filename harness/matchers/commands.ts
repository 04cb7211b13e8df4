/** How a command in the guest has ended: `toSucceed`, `toExitWith`, `toPrint`. */
import { type ExecResult } from '../../qemu/channel/index.ts';
import { checkResult } from './subject.ts';

/** Lines of each stream that are shown. */
const SHOWN_LINES = 20;

/** Which stream of a command is looked at. */
export interface PrintOptions {
  /** Default 'stdout'. */
  readonly stream?: 'stdout' | 'stderr';
}

export function toSucceed(subject: ExecResult) {
  const result = checkResult(subject, 'toSucceed');
  const pass = result.exitCode === 0 && !result.timedOut;
  return {
    pass,
    message: () =>
      pass
        ? `expected ${nameOf(result)} to fail, it succeeded${output(result)}`
        : `expected ${nameOf(result)} to succeed, it ${endOf(result)}${output(result)}`,
  };
}

export function toExitWith(subject: ExecResult, code: number) {
  const result = checkResult(subject, 'toExitWith');
  const pass = result.exitCode === code && !result.timedOut;
  return {
    pass,
    message: () =>
      pass
        ? `expected ${nameOf(result)} not to end with exit code ${code}${output(result)}`
        : `expected ${nameOf(result)} to end with exit code ${code}, it ${endOf(result)}${output(result)}`,
  };
}

export function toPrint(subject: ExecResult, pattern: RegExp | string, { stream = 'stdout' }: PrintOptions = {}) {
  const result = checkResult(subject, 'toPrint');
  const text = result[stream].toString();
  const pass = typeof pattern === 'string' ? text.includes(pattern) : new RegExp(pattern).test(text);
  const wanted = `${typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern)} to ${stream}`;
  return {
    pass,
    message: () =>
      pass
        ? `expected ${nameOf(result)} not to print ${wanted}${output(result)}`
        : `expected ${nameOf(result)} to print ${wanted}; it ${endOf(result)}${output(result)}`,
  };
}

/** What the harness knows of a command beside its result. */
interface Told extends ExecResult {
  readonly command?: string;
  readonly explanation?: string;
}

function nameOf(result: Told): string {
  return result.command === undefined ? 'the command' : `'${result.command}'`;
}

/** `ended with exit code 1 after 12 ms` */
export function endOf({ exitCode, signal, timedOut, processes, durationMs }: ExecResult): string {
  const after = `after ${Math.round(durationMs)} ms`;
  if (timedOut) return `was killed at its time limit, ${after}${processes ? `, in ${processes}` : ''}`;
  return signal === undefined ? `ended with exit code ${exitCode} ${after}` : `was ended by ${signal} ${after}`;
}

function output(result: Told): string {
  const explained = result.explanation === undefined ? '' : `\n${result.explanation}`;
  return explained + block('stderr', result.stderr) + block('stdout', result.stdout);
}

function block(name: string, bytes: Buffer): string {
  const lines = bytes.toString().trimEnd().split('\n');
  if (lines.length === 1 && lines[0] === '') return `\n${name}: (nothing)`;
  const shown = lines.slice(-SHOWN_LINES).map((line) => `  ${line}`);
  const left = lines.length > SHOWN_LINES ? ` (the last ${SHOWN_LINES} of ${lines.length} lines)` : '';
  return `\n${name}${left}:\n${shown.join('\n')}`;
}
