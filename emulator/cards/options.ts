/** Checks of the options with which a built-in card is made; an error names the option, the value and the limit. */
import { CardDefinitionError } from '../pci';

/** @throws CardDefinitionError unless `value` is a whole number from `least` to `most`; undefined is the card's default. */
export function checkWhole(option: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw new CardDefinitionError(`${option} is ${String(value)}: the card takes whole numbers from ${least} to ${most}`);
}
