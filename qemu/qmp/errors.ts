/** What can go wrong on a QMP connection, as types that a caller can tell apart. */

/** QEMU refused a command. `errorClass` and `description` are QEMU's own words. */
export class QmpCommandError extends Error {
  constructor(
    readonly command: string,
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`QEMU refused the QMP command '${command}': ${errorClass}: ${description}`);
    this.name = 'QmpCommandError';
  }
}

/** The connection is gone, or what came over it was no QMP. */
export class QmpConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QmpConnectionError';
  }
}

/** Nothing came within the time limit. */
export class QmpTimeoutError extends Error {
  constructor(what: string, timeoutMs: number) {
    super(`QEMU did not ${what} over QMP within ${timeoutMs} ms.`);
    this.name = 'QmpTimeoutError';
  }
}
