/**
 * `MultifunctionCard`, a card with several functions in one slot: each is a `PciCard` of its own, with its own BARs,
 * interrupts, capabilities and function-level reset. The card itself is what they have in common.
 *
 * Source: PCI Local Bus Spec 3.0, 3.2.2.3.4 (function numbers) and 6.2.1 (Header Type, bit 7).
 */
import { type CardEnvironment, type PciCard } from './card';
import { CardDefinitionError } from './identity';

/** The function number has three bits; the library has no Alternative Routing-ID. */
const MAX_FUNCTIONS = 8;

/** Makes one function; the environment has its clock and its memory. */
export type FunctionMaker = (environment: CardEnvironment) => PciCard;

/**
 *     class TwoPorts extends MultifunctionCard {
 *       readonly wire = new Wire();
 *       readonly functions = [
 *         (environment: CardEnvironment) => new Port(this.wire, environment),
 *         (environment: CardEnvironment) => new Port(this.wire, environment),
 *       ];
 *     }
 */
export abstract class MultifunctionCard {
  /** What makes each function, 0 first: 2 to 8 of them. They share what belongs to the instance. */
  abstract readonly functions: readonly FunctionMaker[];

  /** Makes function `index`, once for an instance. Its header says that it has siblings. @throws CardDefinitionError */
  makeFunction(index: number, environment: CardEnvironment = {}): PciCard {
    const { length } = this.functions;
    if (length < 2 || length > MAX_FUNCTIONS) {
      throw new CardDefinitionError(
        `${this.constructor.name} has ${length} function(s): a MultifunctionCard has 2 to ${MAX_FUNCTIONS}` +
          (length === 1 ? '; a card with one is a PciCard' : ''),
      );
    }
    const make = this.functions[index];
    if (make === undefined)
      throw new RangeError(`${this.constructor.name} has functions 0 to ${length - 1}, not ${index}`);
    const card = make(environment);
    card.isMultifunction = true;
    return card;
  }

  /** Makes all of them, in one environment: for unit tests, with a clock that they share. */
  makeFunctions(environment: CardEnvironment = {}): PciCard[] {
    return this.functions.map((_, index) => this.makeFunction(index, environment));
  }
}
