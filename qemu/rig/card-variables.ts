/** What a command in the guest finds in its environment about the cards. */
import { type BoundCard } from '../launch';

/**
 * GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE of the first card, the same with _2, _3 … of those after it. For a card
 * under a driver for platform devices also GHOSTCARD_PLATFORM_DEVICE, the first one's name, and of all of them, where
 * there are several, GHOSTCARD_PLATFORM_DEVICES: "NAME=NODE NAME=NODE".
 */
export function cardVariables(cards: readonly BoundCard[]): Record<string, string> {
  const entries = cards.flatMap(({ pciAddress, node, platformDevices = [] }, index) => {
    const suffix = index === 0 ? '' : `_${index + 1}`;
    return [
      [`GHOSTCARD_PCI_ADDRESS${suffix}`, pciAddress],
      [`GHOSTCARD_DEVICE${suffix}`, node],
      ...platformDevices.slice(0, 1).map(({ name }) => [`GHOSTCARD_PLATFORM_DEVICE${suffix}`, name]),
      ...(platformDevices.length > 1
        ? [
            [
              `GHOSTCARD_PLATFORM_DEVICES${suffix}`,
              platformDevices.map(({ name, node }) => `${name}=${node}`).join(' '),
            ],
          ]
        : []),
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}
