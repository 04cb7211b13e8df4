/** The slots of a machine, and the cards in them. */

/** `socketPath`: where QEMU is connected to. A card that was unplugged stays connected: QEMU cannot delete its device. */
type Slot =
  { readonly card: string | undefined; readonly socketPath: string; readonly functionCount: number } | 'empty';

interface SlotCard {
  readonly name: string;
  readonly socketPath: string;
  /** It takes the place of a card that was unplugged, at the same socket. */
  readonly isConnected?: boolean;
  readonly moreFunctions?: readonly unknown[];
}

export class Slots {
  private readonly slots: Slot[];

  constructor(count: number, cards: readonly SlotCard[]) {
    this.slots = Array.from({ length: count }, () => 'empty');
    for (const card of cards) this.take(card);
  }

  /** Number of slots that can still take any card. */
  get free(): number {
    return this.slots.filter((slot) => slot === 'empty').length;
  }

  /**
   * Assigns a slot to the card and returns its number: the one of the card whose place it takes, else the first empty
   * one. @throws Error if there is none, or the name is taken
   */
  take({ name, socketPath, isConnected = false, moreFunctions = [] }: SlotCard): number {
    if (this.find(name) >= 0) throw new Error(`This guest already has a card '${name}': give each card its own name.`);
    const slot = this.slots.findIndex((each) =>
      isConnected ? each !== 'empty' && each.card === undefined && each.socketPath === socketPath : each === 'empty',
    );
    if (slot < 0) {
      const retired = this.slots.filter((each) => each !== 'empty' && each.card === undefined).length;
      throw new Error(
        `There is no empty slot for the card '${name}': of ${this.slots.length}, ${retired} held cards that have been ` +
          "unplugged and had other BARs or capabilities than this one (QEMU cannot delete a card's device, see " +
          `docs/limits.md), and the rest have: ${this.cards}. Launch a new guest, or one with more slots.`,
      );
    }
    if (!isConnected) this.forget(socketPath);
    this.slots[slot] = { card: name, socketPath, functionCount: 1 + moreFunctions.length };
    return slot;
  }

  /** The slot of a card, or of a function of it (`card.1`), and the number of the function. */
  placeOf(name: string): { readonly card: string; readonly slot: number; readonly functionNumber: number } {
    const [, card = name, number = '0'] = this.find(name) >= 0 ? [] : (/^(.*)\.([0-7])$/.exec(name) ?? []);
    const slot = this.find(card);
    const functionNumber = Number(number);
    const held = this.slots[slot];
    if (held !== undefined && held !== 'empty' && functionNumber < held.functionCount)
      return { card, slot, functionNumber };
    throw new Error(`This guest has no card '${name}'. Its cards: ${this.cards}.`);
  }

  /** The names of the functions of a card: its own, if it has one. */
  functionsOf(card: string): string[] {
    const { functionCount } = this.slots[this.placeOf(card).slot] as Exclude<Slot, 'empty'>;
    if (functionCount === 1) return [card];
    return Array.from({ length: functionCount }, (_, index) => `${card}.${index}`);
  }

  /** Frees the slot of a card that was not plugged in after all. */
  release(card: string): void {
    this.slots[this.placeOf(card).slot] = 'empty';
  }

  /** The card was unplugged: only a card that takes its place, at its socket, can use the slot. */
  retire(card: string): void {
    const { slot } = this.placeOf(card);
    this.slots[slot] = { ...(this.slots[slot] as Exclude<Slot, 'empty'>), card: undefined };
  }

  /** There is a new server at this path: devices that were connected to an earlier one have lost theirs. */
  private forget(socketPath: string): void {
    this.slots.forEach((slot, i) => {
      if (slot !== 'empty' && slot.socketPath === socketPath) this.slots[i] = { ...slot, socketPath: '' };
    });
  }

  private find(card: string): number {
    return this.slots.findIndex((slot) => slot !== 'empty' && slot.card === card);
  }

  private get cards(): string {
    return this.slots.flatMap((slot) => (slot === 'empty' ? [] : (slot.card ?? []))).join(', ') || 'none';
  }
}
