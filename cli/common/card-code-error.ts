/** A card file's own code has thrown; `cause` is what, and its stack says where. */
export class CardCodeError extends Error {
  override readonly name = 'CardCodeError';

  constructor(what: string, cause: unknown) {
    super(what, { cause });
  }
}
