/** The slots of a machine, and the cards in them. */

type Slot = { readonly card: string } | 'empty' | 'retired';

export class Slots {
  private readonly slots: Slot[];

  constructor(count: number, cards: readonly { readonly name: string }[]) {
    this.slots = Array.from({ length: count }, () => 'empty');
    for (const { name } of cards) this.take(name);
  }

  /** Number of slots that can still take a card. */
  get free(): number {
    return this.slots.filter((slot) => slot === 'empty').length;
  }

  /**
   * Assigns the first empty slot to the card and returns its number. @throws Error if there is none, or the name is
   * taken
   */
  take(card: string): number {
    if (this.find(card) >= 0) throw new Error(`This guest already has a card '${card}': give each card its own name.`);
    const slot = this.slots.indexOf('empty');
    if (slot < 0) {
      const retired = this.slots.filter((each) => each === 'retired').length;
      throw new Error(
        `There is no empty slot for the card '${card}': of ${this.slots.length}, ${retired} were used by cards that have ` +
          `been unplugged (a slot takes one card in the life of a guest), and the rest by: ${this.cards}. ` +
          'Launch a new guest, or one with more slots.',
      );
    }
    this.slots[slot] = { card };
    return slot;
  }

  of(card: string): number {
    const slot = this.find(card);
    if (slot >= 0) return slot;
    throw new Error(`This guest has no card '${card}'. Its cards: ${this.cards}.`);
  }

  /** Frees the slot of a card that was not plugged in after all. */
  release(card: string): void {
    this.slots[this.of(card)] = 'empty';
  }

  /** Marks the slot of an unplugged card as unusable: it cannot take another card. */
  retire(card: string): void {
    this.slots[this.of(card)] = 'retired';
  }

  private find(card: string): number {
    return this.slots.findIndex((slot) => typeof slot === 'object' && slot.card === card);
  }

  private get cards(): string {
    return this.slots.flatMap((slot) => (typeof slot === 'object' ? [slot.card] : [])).join(', ') || 'none';
  }
}
