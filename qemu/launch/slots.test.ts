import { describe, expect, it } from 'vitest';
import { Slots } from './slots';

describe('Slots', () => {
  it('know a card with several functions by its name and by those of its functions', () => {
    const slots = new Slots(2, [
      { name: 'single', socketPath: '/a' },
      { name: 'card', socketPath: '/b', moreFunctions: [{}] },
    ]);
    expect(slots.functionsOf('single')).toEqual(['single']);
    expect(slots.functionsOf('card')).toEqual(['card.0', 'card.1']);
    expect(slots.placeOf('card')).toEqual({ card: 'card', slot: 1, functionNumber: 0 });
    expect(slots.placeOf('card.1')).toEqual({ card: 'card', slot: 1, functionNumber: 1 });
    expect(() => slots.placeOf('card.2')).toThrow("This guest has no card 'card.2'. Its cards: single, card.");
  });

  it('tell a card from a function by its whole name', () => {
    const slots = new Slots(1, [{ name: 'board.1', socketPath: '/a' }]);
    expect(slots.placeOf('board.1')).toEqual({ card: 'board.1', slot: 0, functionNumber: 0 });
    expect(() => slots.placeOf('board')).toThrow("This guest has no card 'board'");
  });
});
