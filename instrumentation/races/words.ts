/** What a report of a race says: both sides, what is missing between them, and what to do. */
import { type DmaReference } from '../../emulator/pci';
import { type CodeAddress, namePlace, type Place, type Places } from '../symbols';
import { wordBytes } from '../trace';
import { type DriverSide, type Race } from './detector';

/** What is wrong between the driver and a DMA of its card (docs/dma-races.md). */
export type RaceKind = 'dma-race' | 'missing-barrier' | 'use-after-free';

/** A DMA race: both sides, and what is missing between them. */
export interface RaceReport {
  readonly kind: RaceKind;
  readonly card: string;
  /** '' of a card that does not say. */
  readonly channel: string;
  /** The driver's: `driver.c:212 ring_doorbell`, or `dma.c:13 fill, called by driver.c:212 send`. */
  readonly code: string;
  /** The function there, those that it is inlined into, and its caller; as far as they are known. */
  readonly functions: readonly string[];
  /** The register that was written last before what the card has done: `H2C[0].DOORBELL`. */
  readonly register?: string;
  /** What the card has done. */
  readonly dma: DmaReference;
  readonly text: string;
}

/** A line of a header may be inlined into a helper, and that into the driver's function. */
const INLINED_LEVELS = 3;

export async function reportRaces(races: readonly Race[], places: Places | undefined): Promise<RaceReport[]> {
  const addresses = races.flatMap(({ driver, step: { doorbell } }) => [
    ...codeOf(driver),
    ...(doorbell?.by ? [doorbell.by] : []),
  ]);
  const found = (await places?.resolve(addresses)) ?? [];
  const known = new Map(addresses.map((address, index) => [keyOf(address), found[index]]));
  const placeAt = (address: CodeAddress): Place | undefined => known.get(keyOf(address));
  const nameOf = (address: CodeAddress): string => {
    const place = placeAt(address);
    return place === undefined ? `0x${address.pc.toString(16)}` : namePlace(place, INLINED_LEVELS);
  };
  return races.map((race) => {
    const frames = codeOf(race.driver).flatMap((address) => {
      const place = placeAt(address);
      return place === undefined ? [] : [place, ...place.inlinedInto];
    });
    const functions = frames.flatMap(({ function: name }) => name ?? []);
    return { ...wordRace(race, codeOf(race.driver).map(nameOf).join(', called by '), nameOf), functions };
  });
}

/** Where it is, and where it was called. */
const codeOf = ({ pid, pc, isKernel, callers }: DriverSide): CodeAddress[] =>
  [...(pc === 0n ? [] : [pc]), ...callers.map((caller) => caller - 1n)].map((each) => ({ pid, pc: each, isKernel }));

const keyOf = ({ pid, pc, returnAddress }: CodeAddress): string => `${pid} ${pc} ${returnAddress}`;

function wordRace(
  { what, does, driver, address, step, isRing }: Race,
  code: string,
  nameOf: (address: CodeAddress) => string,
): Omit<RaceReport, 'functions'> {
  const { card, channel, role, isWrite, iova, sizeBytes, timeNs, doorbell } = step;
  const reference: DmaReference = { kind: isWrite ? 'dma-write' : 'dma-read', timeNs, iova, sizeBytes };
  const process = [driver.comm, driver.pid === 0 ? '' : `process ${driver.pid}`].filter(Boolean).join(', ');
  const who = `${code || 'the kernel'}${process && ` (${process})`}`;
  const doing = `${who} ${does} 0x${address.toString(16)}`;
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
    dma: reference,
    text: `${text} [${kind}]`,
  });
  switch (what) {
    case 'late':
      if (does === 'gives back') {
        return report(
          'use-after-free',
          `${doing} after the last register write that the card has received, ${doorbellThere}: ` +
            `${isRing ? `${channel} is running, and its ring is there` : `${dma} then`}, and it may be another's. Wait for ` +
            'the completion, or stop the card and wait until it has stopped, before memory is given back',
        );
      }
      if (does === 'reads') {
        return report(
          'dma-race',
          `${doing} before the card has written there: ${dma}, started by ${doorbellThere} before. Wait for the completion first`,
        );
      }
      return report(
        'dma-race',
        `${doing} after the last register write that the card has received, ${doorbellThere}: ${dma}, and gets the old bytes ` +
          'or the new ones. Write everything that the card is to see before the register write that hands it over',
      );
    case 'unordered':
      return report(
        'missing-barrier',
        `${doing}, and no barrier orders that before ${doorbellThere}, after which ${dma}: the register write may overtake ` +
          'it. Put a barrier ahead of the register write; writel() has one, in user space it is "dmb oshst"',
      );
    case 'unfenced':
      return report(
        'missing-barrier',
        `${doing} after the look that shows that the card is done, and no barrier orders the two: ${dma}, and the processor ` +
          'may be earlier. Put a barrier after the look: dma_rmb(), in user space "dmb oshld"',
      );
    case 'unseen':
      return report(
        does === 'gives back' ? 'use-after-free' : 'dma-race',
        `${doing} without having seen that the card is done there: ${dma}${doorbellThere ? `, started by ${doorbellThere}` : ''}. ` +
          'No answer of a register, interrupt or status in memory that the driver has seen since comes after that. Wait for ' +
          'the completion first',
      );
  }
}
