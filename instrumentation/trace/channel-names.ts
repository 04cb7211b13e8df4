/** Parts of a card by the names that it gives them in `dmaAs`: `C2H0`, or `C2H*` for several. */
import { type PciCard } from '../../emulator/pci';
import { UnknownNameError, wildcard } from '../../emulator/registers/name-pattern';
import { wordNearest } from '../../emulator/registers/nearest-names';

/** @throws UnknownNameError, with the nearest, when the card has no channel of this name */
export function channelsNamed(card: PciCard, wanted: string): ReadonlySet<string> {
  const all = [...new Set(card.inspection.dma.initiators.map(({ channel }) => channel))].filter((name) => name !== '');
  const pattern = wildcard(wanted);
  const found = all.filter((name) => pattern.test(name));
  if (found.length > 0) return new Set(found);
  throw new UnknownNameError(
    all.length === 0
      ? `the card does not name the channels of its DMA, so there is no '${wanted}': leave channel out, or have the card use dmaAs({ channel: '${wanted}', … })`
      : `the card has no DMA channel '${wanted}'; ${wordNearest(wanted, all)}`,
  );
}
