/**
 * What `--card` names: a built-in card, or a TypeScript or JavaScript file whose default export is one.
 *
 *   reference                              the reference card
 *   reference,addressBits=32               with options for its constructor
 *   reference,link.bytesPerSecond=1e9      an option inside an option
 *   ./my-card.ts,leds=8                    a class that extends PciCard, or a function that returns one
 */
import { existsSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { type CardFactory } from '../../emulator/serve-card';
import { UsageError } from './usage-error';

type OptionValue = string | number | boolean;
type CardOptions = { [name: string]: OptionValue | CardOptions };
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
  const options = parseOptions(settings, argument);
  const known = builtIn[what];
  const name = known ? what : basename(what, extname(what));
  const make = known ?? makerOf(what);
  return {
    name: name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 20),
    make: (environment) => makeChecked(what, make, options, environment),
  };
}

/** Makes the card, and refuses options that it never looked at: a misspelt one must not pass for its default. */
function makeChecked(what: string, make: CardMaker, options: CardOptions, environment: CardEnvironment): PciCard {
  const unread = new Set(Object.keys(options));
  const given = { ...options, ...environment };
  const watched = new Proxy(given, {
    get: (target, key: string) => {
      unread.delete(key);
      return target[key as keyof typeof target];
    },
  });
  const card: unknown = make(watched);
  if (!(card instanceof PciCard)) {
    throw new UsageError(
      `--card ${what}: what it exports makes no PciCard (got ${card === null ? 'null' : typeof card})`,
    );
  }
  if (unread.size === 0) return card;
  card.close();
  throw new UsageError(`--card ${what}: the card has no option ${[...unread].map((key) => `'${key}'`).join(', ')}`);
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

/** `a=1,b.c=on` -> { a: 1, b: { c: true } } */
function parseOptions(settings: readonly string[], argument: string): CardOptions {
  const options: CardOptions = {};
  for (const setting of settings) {
    const [path = '', value] = setting.split(/=(.*)/s);
    if (path === '' || value === undefined) {
      throw new UsageError(
        `--card ${argument}: '${setting}' is no option; write name=value, as in reference,addressBits=32`,
      );
    }
    const keys = path.split('.');
    const last = keys.pop()!;
    let group = options;
    for (const key of keys) group = (group[key] ??= {}) as CardOptions;
    group[last] = parseValue(value);
  }
  return options;
}

function parseValue(value: string): OptionValue {
  if (value === 'true' || value === 'on') return true;
  if (value === 'false' || value === 'off') return false;
  const number = Number(value);
  return value.trim() !== '' && !Number.isNaN(number) ? number : value;
}

function makerOf(file: string): CardMaker {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new UsageError(
      `--card ${file}: no built-in card has this name (there is: ${Object.keys(builtIn).join(', ')}), and there is no file ${path}`,
    );
  }
  const module = requireCard(file, path);
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

function requireCard(file: string, path: string): { default?: unknown } {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the path is known only now
    return require(path) as { default?: unknown };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_REQUIRE_ESM') throw error;
    throw new UsageError(
      `--card ${file}: a package.json with "type": "module" makes it an ES module, and cards are loaded as CommonJS; ` +
        'rename it to .cts, or put it into a folder of its own with a package.json {"type": "commonjs"}',
    );
  }
}
