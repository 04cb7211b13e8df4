/** Whether a driver has raced with its cards: `toHaveNoDmaRaces`. */
import { TestGuest } from '../test-guest.ts';

export async function toHaveNoDmaRaces(subject: TestGuest) {
  if (!(subject instanceof TestGuest)) throw new TypeError('toHaveNoDmaRaces needs the guest of a test');
  if (!subject.rig.looksForRaces) {
    throw new TypeError(
      "toHaveNoDmaRaces needs a guest in which races are looked for: guestTest({ checkDma: 'report' })",
    );
  }
  const races = await subject.races();
  return {
    pass: races.length === 0,
    message: () =>
      races.length === 0
        ? 'expected DMA races, there are none'
        : `expected no DMA races, there ${races.length === 1 ? 'is' : 'are'} ${races.length}:\n` +
          races.map(({ card, text }) => `- ${card}: ${text}`).join('\n'),
  };
}
