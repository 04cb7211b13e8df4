/** The line of JSON that every app of guest-tools prints at its end when asked to (`--json`). */
import { type ExecResult } from '../channel';

export interface AppReport {
  readonly app: string;
  readonly ok: boolean;
  readonly driver: string;
  readonly irq_mode: string;
  /** Payload bytes moved and verified. */
  readonly bytes: number;
  readonly interrupts: number;
  /** Run time of what the app measures, on the guest's clock. */
  readonly seconds: number;
  /** The part of it in which the card moved data; 0 where that is not measured apart. */
  readonly dma_seconds: number;
  /** Comparisons made, and how many of them failed. */
  readonly checks: number;
  readonly failed: number;
  /** What the kernel driver does not offer; each is a line of text, "not possible with DRIVER: reason". */
  readonly not_possible: number;
  /** Why the app could not go on, if it could not. */
  readonly error?: string;
}

/** Throws when the app said nothing of the kind, with what it did say. */
export function appReport(argv: readonly string[], result: ExecResult): AppReport {
  const lines = result.stdout.toString().trimEnd().split('\n');
  const last = lines.at(-1) ?? '';
  try {
    return JSON.parse(last) as AppReport;
  } catch {
    const how = result.signal ?? (result.timedOut ? 'its time limit' : `exit code ${result.exitCode}`);
    throw new Error(
      `${argv.join(' ')} ended with ${how} and without its report.\nIts output:\n${lines.slice(-20).join('\n')}\n` +
        `Its errors:\n${result.stderr.toString().trimEnd()}`,
    );
  }
}
