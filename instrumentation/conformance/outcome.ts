/** How a case can end other than well, as exceptions. */

/** The server did something else than the specification demands: what it did. */
export class Unmet extends Error {
  override readonly name = 'Unmet';
}

/** The case says nothing about this server: why. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** The suite itself cannot go on, for example because nothing listens at the socket. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
}
