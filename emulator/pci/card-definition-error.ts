/**
 * The error for a card whose definition is invalid, such as overlapping BARs or a vector count that PCI cannot encode.
 * Thrown while the card is constructed, so an author sees it before any guest does.
 */
export class CardDefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CardDefinitionError';
  }
}
