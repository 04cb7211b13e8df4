/** The command line is wrong: the message says how, and nothing has been done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
