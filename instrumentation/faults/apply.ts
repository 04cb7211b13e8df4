/**
 * Applies declared faults to a card. Each inserts stages at the card's DMA, at its interrupts or at the accesses of its
 * client; the first that is declared is nearest to where the access or interrupt comes from. So each sees what those
 * before it have let through.
 */
import { type PciCard } from '../../emulator/pci';
import { checkFault, checkForCard, kindOf, withDefaults } from './check';
import { type Fault, type FaultSite } from './fault';
import { type FaultDeclaration } from './kinds';
import { FaultDeclarationError } from './parameters';
import { SlotLink } from './slot-link';

/** A declared fault, and how often it has fired. */
export interface FaultCount {
  readonly name: string;
  readonly declaration: FaultDeclaration;
  /** How often it has fired. */
  readonly times: number;
  /** Which events it waited for, and how many came. */
  readonly waitedFor: string;
}

/** Whether it was to fire, and has not. */
export const isUnfired = ({ times, declaration }: FaultCount): boolean =>
  times === 0 && declaration.mayNotFire !== true;

/** `The fault 'lost' of the card 'reference' has not fired: it waited for …` */
export const wordUnfired = (card: string, { name, waitedFor }: FaultCount): string =>
  `The fault '${name}' of the card '${card}' has not fired: it waited for ${waitedFor}`;

/** Of one card: each call passes through each of them, and the stack has to hold them. */
const MOST_FAULTS = 1000;

/** @throws FaultDeclarationError that begins with `place`: of more than a card can have */
export function checkNumber(count: number, place: string): void {
  if (count <= MOST_FAULTS) return;
  throw new FaultDeclarationError(
    `${place}: ${count} faults, and each is a stage that every access passes: ${MOST_FAULTS} are the limit for one card. ` +
      'A fault without "occurrence" happens each time',
  );
}

const faultyCards = new WeakMap<PciCard, FaultyCard>();

/** The faults that a card has, if it has any. */
export const faultsOf = (card: PciCard): FaultyCard | undefined => faultyCards.get(card);

/**
 * To be called when the card is made, before anything drives it.
 * @throws FaultDeclarationError
 */
export function applyFaults(card: PciCard, declarations: readonly FaultDeclaration[]): FaultyCard;
/**
 * @internal
 * @param link the client drives the card through it; it goes down on surprise removal
 */
export function applyFaults(card: PciCard, declarations: readonly FaultDeclaration[], link: SlotLink): FaultyCard;
export function applyFaults(
  card: PciCard,
  declarations: readonly FaultDeclaration[],
  link: SlotLink = new SlotLink(card),
): FaultyCard {
  if (faultyCards.has(card)) throw new Error('the card has faults already: declare all of them at once');
  const faulty = new FaultyCard(card, declarations, link);
  faultyCards.set(card, faulty);
  return faulty;
}

/** The faults of a card, and how often each has fired. */
export class FaultyCard {
  readonly #faults: readonly { readonly name: string; readonly declaration: FaultDeclaration; readonly fault: Fault }[];

  /** @internal Use `applyFaults`. */
  constructor(card: PciCard, declarations: readonly FaultDeclaration[], link: SlotLink) {
    const { inspection } = card;
    checkNumber(declarations.length, 'faults');
    declarations.forEach((declaration, index) => checkFault(declaration, placeOf(declaration, index)));
    const names = namesOf(declarations);
    this.#faults = declarations.map((declaration, index) => {
      const name = names[index]!;
      const site = {
        card,
        clock: inspection.clock,
        link,
        report: (what: string) => inspection.events.publish({ kind: 'fault', fault: name, what }),
      };
      return { name, declaration, fault: makeFor(declaration, placeOf(declaration, index), site) };
    });
    inspection.device.insert(() => link);
    for (const { fault } of [...this.#faults].reverse()) {
      if (fault.dma) inspection.dma.insert((below) => fault.dma!(below));
      if (fault.interrupts) inspection.interrupts.insert((below) => fault.interrupts!(below));
      if (fault.device) inspection.device.insert((below) => fault.device!(below));
    }
    inspection.onReset = (kind) => {
      for (const { fault } of this.#faults) fault.reset(kind);
    };
  }

  /** Every fault, in the order in which they are declared. */
  get counts(): FaultCount[] {
    return this.#faults.map(({ name, declaration, fault }) => ({
      name,
      declaration,
      times: fault.times,
      waitedFor: fault.waitsFor.describe(),
    }));
  }

  /** Those that were to fire, and have not. */
  get unfired(): FaultCount[] {
    return this.counts.filter(isUnfired);
  }
}

/** `fault 2 (interrupt-dropped)` */
function placeOf(declaration: FaultDeclaration, index: number): string {
  const { fault } = Object(declaration) as Partial<FaultDeclaration>;
  return `fault ${index + 1}${fault === undefined ? '' : ` (${fault})`}`;
}

/** The name of each, or its kind, with a number from the second of a kind on. */
function namesOf(declarations: readonly FaultDeclaration[]): string[] {
  const taken = new Set<string>();
  declarations.forEach((declaration, index) => {
    const { name } = declaration;
    if (name === undefined) return;
    if (taken.has(name))
      throw new FaultDeclarationError(`${placeOf(declaration, index)}: there is a fault '${name}' already`);
    taken.add(name);
  });
  return declarations.map(({ name, fault }) => {
    if (name !== undefined) return name;
    for (let number = 1; ; number++) {
      const free = number === 1 ? fault : `${fault}-${number}`;
      if (!taken.has(free)) return (taken.add(free), free);
    }
  });
}

/**
 * Whether a card can have the fault, which is not applied.
 * @throws FaultDeclarationError that begins with `place`
 */
export function checkFaultFor(card: PciCard, declaration: FaultDeclaration, place: string): void {
  makeFor(declaration, place, { card, clock: card.inspection.clock, link: new SlotLink(card), report: () => {} });
}

function makeFor(declaration: FaultDeclaration, place: string, site: FaultSite): Fault {
  try {
    checkForCard(declaration, site.card);
    return kindOf(declaration).make(site, withDefaults(declaration));
  } catch (error) {
    if (error instanceof FaultDeclarationError) throw new FaultDeclarationError(`${place}: ${error.message}`);
    throw error;
  }
}
