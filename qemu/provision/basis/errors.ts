/** The parts of every provisioning error: what was attempted, what was seen, and what to do. */
export type Failure = Pick<ProvisionError, 'attempted' | 'seen' | 'cure'>;

/** Something that could not be provided: what was attempted, what was seen, and what to do. */
export class ProvisionError extends Error {
  /** What ghostcard was doing: "downloading the guest kernel". */
  readonly attempted: string;
  /** What was seen instead: an exit code with the tool's last lines, a value and its limit. */
  readonly seen: string;
  /** What the user can do: a command to run, an option or a variable to set. */
  readonly cure: string;

  /** @internal */
  constructor(failure: Failure, options?: ErrorOptions) {
    super(`failed while ${failure.attempted}: ${failure.seen.trimEnd()}\nWhat to do: ${failure.cure}`, options);
    this.name = 'ProvisionError';
    this.attempted = failure.attempted;
    this.seen = failure.seen;
    this.cure = failure.cure;
  }
}
