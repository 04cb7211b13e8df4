/** What a command in the guest finds in its environment about the cards. */
import { type BoundCard } from '../launch';

/** GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE of the first card, the same with _2, _3 … of those after it. */
export function cardVariables(cards: readonly BoundCard[]): Record<string, string> {
  const entries = cards.flatMap(({ pciAddress, node }, index) => {
    const suffix = index === 0 ? '' : `_${index + 1}`;
    return [
      [`GHOSTCARD_PCI_ADDRESS${suffix}`, pciAddress],
      [`GHOSTCARD_DEVICE${suffix}`, node],
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}
