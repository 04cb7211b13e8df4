/** A trace that cannot be replayed: the message says why, and how to record one that can. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
}
