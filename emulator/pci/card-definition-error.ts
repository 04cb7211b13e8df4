/**
 * The error for a card that cannot be built as it was written down: overlapping BARs, a vector count PCI has no code
 * for. Thrown while the card is constructed, so an author sees it before any guest does.
 */
export class CardDefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CardDefinitionError';
  }
}
