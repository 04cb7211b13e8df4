/** Errors for a guest that could not start or that ended, each with the last output of QEMU and the guest. */
import { explainAbort } from './known-aborts';
import { type Panic } from './panic';

/** Shown below the headline of an error. */
export interface Evidence {
  readonly qemuStderr: string;
  /** The last lines of the guest's console. */
  readonly consoleTail: readonly string[];
  /** The folder where the logs will be kept, if they are. */
  readonly artifactsDir: string | undefined;
}

/** A guest that could not start, or that has ended, with the last output of QEMU and of the guest. */
export class GuestError extends Error {
  /** @internal */
  constructor(headline: string, evidence: Evidence, options?: ErrorOptions) {
    super([headline, ...blocks(evidence)].join('\n'), options);
    this.name = new.target.name;
  }
}

/** The guest ended before its agent's hello. */
export class GuestBootError extends GuestError {}

/** The guest could not be restored from its snapshot, for the reason in `cause`. A cold boot may succeed. */
export class RestoreError extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'RestoreError';
  }
}

/** QEMU has exited. */
export class QemuExitedError extends GuestError {
  /** @internal */
  constructor(
    readonly exitCode: number | undefined,
    readonly signal: string | undefined,
    activity: string,
    /** The reason in QMP's SHUTDOWN event: 'guest-shutdown' if the guest powered off. */
    readonly shutdownReason: string | undefined,
    evidence: Evidence,
  ) {
    const how = signal === undefined ? `exited with code ${exitCode}` : `was killed by ${signal}`;
    const why = shutdownReason === undefined ? '' : ` (shutdown reason: ${shutdownReason})`;
    const known = explainAbort(evidence.qemuStderr);
    super(`QEMU ${how} while ${activity}${why}.${known === undefined ? '' : ` ${known}`}`, evidence);
  }
}

/** The guest's kernel has failed: panic, oops, BUG, hung task, or end of init. */
export class GuestPanicError extends GuestError {
  readonly reason: string;

  /** @internal */
  constructor(panic: Panic, activity: string, evidence: Evidence) {
    super(`The guest's kernel panicked while ${activity}: ${panic.reason}`, { ...evidence, consoleTail: panic.quote });
    this.reason = panic.reason;
  }
}

/** The guest was suspended to RAM while it had the host's files. */
export class SuspendError extends Error {
  constructor() {
    super(
      "The guest was suspended to RAM, and was ended: Linux does not resume the shares that the host's files are on, so " +
        'every command would hang. Suspend a guest without them (--minimal, hostRoot: false): see ' +
        'docs/limits.md#suspend.',
    );
    this.name = 'SuspendError';
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
