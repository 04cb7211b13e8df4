/** Why a guest could not start or came to its end: each with what QEMU and the guest said last. */
import { type Panic } from './panic';

/** What is shown below the headline of an error. */
export interface Evidence {
  readonly qemuStderr: string;
  /** The last lines of the guest's console. */
  readonly consoleTail: readonly string[];
  /** Where the logs will be kept, if they will. */
  readonly artifactsDir: string | undefined;
}

export class GuestError extends Error {
  constructor(headline: string, evidence: Evidence, options?: ErrorOptions) {
    super([headline, ...blocks(evidence)].join('\n'), options);
    this.name = new.target.name;
  }
}

/** The guest did not get as far as its agent's hello. */
export class GuestBootError extends GuestError {}

/** The guest did not come up from its snapshot, for the reason in `cause`; by a boot it may. */
export class RestoreError extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'RestoreError';
  }
}

/** QEMU is gone. */
export class QemuExitedError extends GuestError {
  constructor(
    readonly exitCode: number | undefined,
    readonly signal: string | undefined,
    activity: string,
    /** Why the machine was shut down, by QMP's SHUTDOWN event: 'guest-shutdown' when the guest powered off. */
    readonly shutdownReason: string | undefined,
    evidence: Evidence,
  ) {
    const how = signal === undefined ? `exited with code ${exitCode}` : `was killed by ${signal}`;
    const why = shutdownReason === undefined ? '' : ` (reason given: ${shutdownReason})`;
    super(`QEMU ${how} while ${activity}${why}.`, evidence);
  }
}

/** The guest's kernel is broken: panic, oops, BUG, hung task, death of init. */
export class GuestPanicError extends GuestError {
  readonly reason: string;

  constructor(panic: Panic, activity: string, evidence: Evidence) {
    super(`The guest's kernel died while ${activity}: ${panic.reason}`, { ...evidence, consoleTail: panic.quote });
    this.reason = panic.reason;
  }
}

/** The guest was closed by its owner. */
export class GuestClosedError extends Error {
  constructor() {
    super('The guest was closed.');
    this.name = 'GuestClosedError';
  }
}

function blocks({ qemuStderr, consoleTail, artifactsDir }: Evidence): string[] {
  const stderrLines = qemuStderr.trimEnd().split('\n').slice(-20);
  return [
    ...block("QEMU's standard error", qemuStderr.trim() === '' ? [] : stderrLines),
    ...block("The guest's console", consoleTail),
    ...(artifactsDir === undefined ? [] : [`Logs: ${artifactsDir}`]),
  ];
}

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [`${title}: (nothing)`] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}
