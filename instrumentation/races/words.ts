/** What a report of a race says: both sides, what is missing between them, and what to do. */
import { type CodeAddress, namePlace, type Places } from '../symbols';
import { wordBytes } from '../trace';
import { type DriverSide, type Race } from './detector';

export type RaceKind = 'dma-race' | 'missing-barrier';

export interface RaceReport {
  readonly kind: RaceKind;
  readonly card: string;
  /** '' of a card that does not say. */
  readonly channel: string;
  /** The driver's: `driver.c:212 ring_doorbell`. */
  readonly code: string;
  /** The function there, and those that it is inlined into; as far as they are known. */
  readonly functions: readonly string[];
  /** The register that was written last before what the card has done: `H2C[0].DOORBELL`. */
  readonly register?: string;
  readonly text: string;
}

/** Of each place in the code the first. */
export async function reportRaces(races: readonly Race[], places: Places | undefined): Promise<RaceReport[]> {
  const sides = races.flatMap(({ driver, step: { doorbell } }) => (doorbell?.by ? [driver, doorbell.by] : [driver]));
  const found = (await places?.resolve(sides.map(codeAddressOf))) ?? [];
  const known = new Map(sides.map((side, index) => [side, found[index]]));
  return races.map((race) => {
    const nameOf = (side: DriverSide): string => {
      const place = known.get(side);
      return place === undefined ? `0x${side.pc.toString(16)}` : namePlace(place);
    };
    const place = known.get(race.driver);
    const functions = place ? [place, ...place.inlinedInto].flatMap(({ function: name }) => name ?? []) : [];
    return { ...wordRace(race, nameOf), functions };
  });
}

const codeAddressOf = ({ pid, pc, isKernel, returnAddress }: DriverSide): CodeAddress => ({
  ...{ pid, pc, isKernel },
  ...(returnAddress !== undefined && { returnAddress }),
});

function wordRace(
  { what, driver, isStore, address, step }: Race,
  nameOf: (side: DriverSide) => string,
): Omit<RaceReport, 'functions'> {
  const { card, channel, role, isWrite, iova, sizeBytes, doorbell } = step;
  const code = nameOf(driver);
  const process = [driver.comm, driver.pid === 0 ? '' : `process ${driver.pid}`].filter(Boolean).join(', ');
  const who = process === '' ? code : `${code} (${process})`;
  const does = `${who} ${isStore ? 'writes' : 'reads'} 0x${address.toString(16)}`;
  const purpose = role === 'other' ? '' : ` (${role})`;
  const dma = `${channel || 'the card'} ${isWrite ? 'writes' : 'reads'} ${wordBytes(sizeBytes)} at 0x${iova.toString(16)}${purpose}`;
  const doorbellThere = doorbell?.by && `${doorbell.register()} ${doorbell.value} at ${nameOf(doorbell.by)}`;
  const register = doorbell && { register: doorbell.register() };
  const report = (kind: RaceKind, text: string) => ({
    kind,
    card,
    channel,
    code,
    ...register,
    text: `${text} [${kind}]`,
  });
  switch (what) {
    case 'late':
      if (!isStore) {
        return report(
          'dma-race',
          `${does} before the card has written there: ${dma}, started by ${doorbellThere} before. Wait for the completion first`,
        );
      }
      return report(
        'dma-race',
        `${does} after the last register write that the card has received, ${doorbellThere}: ${dma}, and gets the old bytes ` +
          'or the new ones. Write everything that the card is to see before the register write that hands it over',
      );
    case 'unordered':
      return report(
        'missing-barrier',
        `${does}, and no barrier orders that before ${doorbellThere}, after which ${dma}: the register write may overtake ` +
          'it. Put a barrier ahead of the register write; writel() has one, in user space it is "dmb oshst"',
      );
    case 'unfenced':
      return report(
        'missing-barrier',
        `${does} after the look that shows that the card is done, and no barrier orders the two: ${dma}, and the processor ` +
          'may be earlier. Put a barrier after the look: dma_rmb(), in user space "dmb oshld"',
      );
    case 'unseen':
      return report(
        'dma-race',
        `${does} without having seen that the card is done there: ${dma}${doorbellThere ? `, started by ${doorbellThere}` : ''}. ` +
          'No answer of a register, interrupt or status in memory that the driver has seen since comes after that. Wait for ' +
          'the completion first',
      );
  }
}
