/**
 * What `--card` names: a built-in card, or a TypeScript or JavaScript file whose default export is one.
 *
 *   reference                              the reference card
 *   reference,addressBits=32               with options for its constructor
 *   ./my-card.ts,leds=8                    a class that extends PciCard, or a function that returns one
 */
import { existsSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { type CardFactory } from '../../emulator/serve-card';
import { UsageError } from './usage-error';

type OptionValue = string | number | boolean;
/** A card file's default export: it is given the environment and the options of the command line in one object. */
type CardMaker = (options: CardEnvironment & Record<string, unknown>) => PciCard;

const builtIn: Record<string, CardMaker> = { reference: (options) => new ReferenceCard(options) };

export interface CardSource {
  /** Short name for messages and sockets. */
  readonly name: string;
  readonly make: CardFactory;
}

export function loadCard(argument: string): CardSource {
  const [what = '', ...settings] = argument.split(',');
  const options = Object.fromEntries(settings.map((setting) => parseSetting(setting, argument)));
  const known = builtIn[what];
  const name = known ? what : basename(what, extname(what));
  const make = known ?? makerOf(what);
  return {
    name: name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 20),
    make: (environment) => checked(what, make({ ...options, ...environment })),
  };
}

/** Names for cards of the same source that are used together: reference, reference-2, and so on. */
export function distinctNames(cards: readonly CardSource[]): CardSource[] {
  const seen = new Map<string, number>();
  return cards.map((card) => {
    const count = (seen.get(card.name) ?? 0) + 1;
    seen.set(card.name, count);
    return count === 1 ? card : { ...card, name: `${card.name}-${count}` };
  });
}

function parseSetting(setting: string, argument: string): [string, OptionValue] {
  const [key = '', value] = setting.split(/=(.*)/s);
  if (key === '' || value === undefined) {
    throw new UsageError(
      `--card ${argument}: '${setting}' is no option; write name=value, as in reference,addressBits=32`,
    );
  }
  if (value === 'true' || value === 'on') return [key, true];
  if (value === 'false' || value === 'off') return [key, false];
  const number = Number(value);
  return [key, value.trim() !== '' && Number.isFinite(number) ? number : value];
}

function makerOf(file: string): CardMaker {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new UsageError(
      `--card ${file}: no built-in card has this name (there is: ${Object.keys(builtIn).join(', ')}), and there is no file ${path}`,
    );
  }
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the path is known only now
  const module = require(path) as { default?: unknown };
  const exported = module.default ?? module;
  if (typeof exported !== 'function') {
    throw new UsageError(
      `--card ${file}: its default export is ${typeof exported === 'object' ? 'an object' : typeof exported}; ` +
        'export a class that extends PciCard (export default class MyCard extends PciCard …) or a function that returns one',
    );
  }
  const isClass = exported.prototype instanceof PciCard;
  return (options) =>
    isClass ? new (exported as new (o: typeof options) => PciCard)(options) : (exported as CardMaker)(options);
}

function checked(what: string, card: unknown): PciCard {
  if (card instanceof PciCard) return card;
  throw new UsageError(
    `--card ${what}: what it exports makes no PciCard (got ${card === null ? 'null' : typeof card})`,
  );
}
