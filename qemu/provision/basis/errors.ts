/** The parts of every provisioning error: what was attempted, what was seen, and what to do. */
export interface Failure {
  /** What ghostcard was doing: "downloading the guest kernel". */
  readonly attempted: string;
  /** What was seen instead: an exit code with the tool's last lines, a value and its limit. */
  readonly seen: string;
  /** What the user can do: a command to run, an option or a variable to set. */
  readonly cure: string;
}

/** Something that could not be provided: what was attempted, what was seen, and what to do. */
export class ProvisionError extends Error implements Failure {
  readonly attempted: string;
  readonly seen: string;
  readonly cure: string;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(`failed while ${failure.attempted}: ${failure.seen.trimEnd()}\nWhat to do: ${failure.cure}`, options);
    this.name = 'ProvisionError';
    this.attempted = failure.attempted;
    this.seen = failure.seen;
    this.cure = failure.cure;
  }
}
