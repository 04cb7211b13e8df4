/**
 * What `--card` names: a built-in card, or a TypeScript or JavaScript file whose default export is one.
 *
 *   reference                              the reference card
 *   reference,addressBits=32               with options for its constructor
 *   reference,link.bytesPerSecond=1e9      an option inside an option
 *   ./my-card.ts,leds=8                    a class that extends PciCard, or a function that returns one
 *   ./two-ports.ts                         a class that extends MultifunctionCard: a card with several functions
 */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, relative, resolve } from 'node:path';
import { BUILT_IN_CARDS, type BuiltInCard, type OptionHelp } from '../../emulator/cards/built-in';
import { ManualClock } from '../../emulator/clock';
import { PACKAGE_FOLDER } from '../../emulator/folders';
import { type CardEnvironment, MultifunctionCard, PciCard, privateMemory } from '../../emulator/pci';
import { type CardFactory } from '../../instrumentation/served-card';
import { CardCodeError, UsageError } from './errors';
import { defaultExportOf } from './user-module';

type OptionValue = string | number | boolean;
type CardOptions = { [name: string]: OptionValue | CardOptions };
/** A card file's default export: it receives the environment and the options of the command line in one object. */
type CardMaker = (options: CardEnvironment & Record<string, unknown>) => PciCard;

export interface CardSource {
  /** Short name for messages and sockets. */
  readonly name: string;
  readonly make: CardFactory;
}

/** A card with several functions: they are called as the card, with `.0`, `.1` … */
export interface MultifunctionSource {
  readonly name: string;
  readonly makeMultifunction: () => MultifunctionCard;
}

/** A card that another process serves. */
export interface RemoteCardSource {
  readonly name: string;
  readonly socketPath: string;
}

const REMOTE = 'unix:';

/** What can be plugged into a guest: a card of this process (`loadAnyCard`), or that of another process, `unix:PATH`. */
export async function cardToPlug(argument: string): Promise<CardSource | MultifunctionSource | RemoteCardSource> {
  if (!argument.startsWith(REMOTE)) return loadAnyCard(argument);
  const socketPath = resolve(argument.slice(REMOTE.length));
  if (!statSync(socketPath, { throwIfNoEntry: false })?.isSocket()) {
    throw new UsageError(
      `--card ${argument}: no card is served there: ${socketPath} is not a socket. Start its server first, ` +
        `for example: ghostcard serve --card reference --socket ${socketPath}`,
    );
  }
  return { name: nameFor(socketPath), socketPath };
}

/** A card file or socket as a short word. */
const nameFor = (path: string): string =>
  basename(path, extname(path))
    .replace(/[^A-Za-z0-9_-]/g, '_')
    .slice(0, 20);

/** For commands that take a card with one function. */
export async function loadCard(argument: string): Promise<CardSource> {
  const source = await loadAnyCard(argument);
  if ('make' in source) return source;
  throw new UsageError(
    `--card ${argument}: the card has several functions, and this command takes one: ghostcard run and serve take such ` +
      'cards. Here, name a file that exports the class of the function',
  );
}

/** The functions of a card, each as a card that is made for itself. */
export function functionsOf(source: CardSource | MultifunctionSource): readonly CardSource[] {
  if ('make' in source) return [source];
  const { name, makeMultifunction } = source;
  return makeMultifunction().functions.map((_, index) => ({
    name: `${name}.${index}`,
    make: (environment) => makeMultifunction().makeFunction(index, environment),
  }));
}

export async function loadAnyCard(argument: string): Promise<CardSource | MultifunctionSource> {
  const [what = '', ...settings] = argument.split(',');
  const options = parseOptions(settings, argument);
  const exported = Object.hasOwn(BUILT_IN_CARDS, what) ? undefined : await exportedBy(what);
  if (isMultifunctionClass(exported)) {
    const makeMultifunction = () => checked(what, options, {}, (given) => new exported(given), MultifunctionCard);
    return { name: nameFor(what), makeMultifunction };
  }
  const known = Object.hasOwn(BUILT_IN_CARDS, what) ? BUILT_IN_CARDS[what] : undefined;
  const make = known?.make ?? makerOf(exported!);
  if (known) tryOptions(argument, known, options);
  return {
    name: known ? what : nameFor(what),
    make: (environment) => checked(what, options, environment, make, PciCard),
  };
}

/** A wrong option of a built-in card is reported before anything is fetched or started. */
function tryOptions(argument: string, { make, options: names }: BuiltInCard, options: CardOptions): void {
  checkNames(argument, names, options);
  try {
    make({ ...options, clock: new ManualClock(), allocate: privateMemory }).close();
  } catch (error) {
    throw new UsageError(`--card ${argument}: ${(error as Error).message}`);
  }
}

function checkNames(argument: string, names: OptionHelp, options: CardOptions, path = ''): void {
  for (const [name, value] of Object.entries(options)) {
    const takes = Object.hasOwn(names, name) ? names[name] : undefined;
    if (takes === undefined) {
      const known = Object.keys(names).map((each) => path + each);
      throw new UsageError(`--card ${argument}: the card has no option '${path}${name}'; it has ${known.join(', ')}`);
    }
    const isGroup = typeof value === 'object';
    if (typeof takes === 'object' && isGroup) checkNames(argument, takes, value, `${path}${name}.`);
    else if (typeof takes === 'object' || isGroup) {
      const expected = typeof takes === 'object' ? `${name}.${Object.keys(takes).join(`=…, ${name}.`)}=…` : takes;
      throw new UsageError(`--card ${argument}: '${path}${name}' takes ${expected}`);
    } else if (takes === 'on or off' && typeof value !== 'boolean') {
      throw new UsageError(`--card ${argument}: '${path}${name}' is ${value}; it takes ${takes}`);
    }
  }
}

/** Makes the card, and refuses options that it never read: a misspelt option must not silently mean its default. */
function checked<Card extends PciCard | MultifunctionCard>(
  what: string,
  options: CardOptions,
  environment: CardEnvironment,
  make: (options: Parameters<CardMaker>[0]) => unknown,
  kind: abstract new (...args: never[]) => Card,
): Card {
  const unread = new Set(Object.keys(options));
  const watched = new Proxy({ ...options, ...environment } as Parameters<CardMaker>[0], {
    get: (target, key: string) => {
      unread.delete(key);
      return target[key];
    },
  });
  const card: unknown = ownCode(`--card ${what}: the card could not be made`, () => make(watched));
  if (!(card instanceof kind)) {
    throw new UsageError(
      `--card ${what}: its export did not make a ${kind.name} (got ${card === null ? 'null' : typeof card})`,
    );
  }
  if (unread.size === 0) return card;
  if (card instanceof PciCard) card.close();
  throw new UsageError(`--card ${what}: the card has no option ${[...unread].map((key) => `'${key}'`).join(', ')}`);
}

/** TypeScript that makes the card of `argument`, for a file that is written into `folder` for the user. */
export interface CardCode {
  /** The import of its class or function. */
  readonly imports?: string;
  /** Of a built-in card, its name in 'ghostcard/cards'. */
  readonly builtIn?: string;
  /** An expression that makes it from a variable `environment`. */
  readonly make: string;
  /** The card's name, for titles. */
  readonly name: string;
}

export async function cardCode(argument: string, folder: string): Promise<CardCode> {
  const [what = '', ...settings] = argument.split(',');
  const options = parseOptions(settings, argument);
  const own = Object.entries(options).map(
    ([name, value]) => `${/^\w+$/.test(name) ? name : JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const given = own.length === 0 ? 'environment' : `{ ${own.join(', ')}, ...environment }`;
  if (Object.hasOwn(BUILT_IN_CARDS, what)) {
    const { className } = BUILT_IN_CARDS[what]!;
    return { builtIn: className, make: `new ${className}(${given})`, name: what };
  }
  const path = relative(folder, resolve(what)).replace(/\.[cm]?ts$/, '');
  const imports = `import Card from '${path.startsWith('.') ? path : `./${path}`}';`;
  const isClass = isCardClass(await exportedBy(what));
  return { imports, make: isClass ? `new Card(${given})` : `Card(${given})`, name: nameFor(what) };
}

/** Runs code of a card file: what it throws keeps its stack. */
function ownCode<T>(what: string, code: () => T): T {
  try {
    return code();
  } catch (error) {
    throw new CardCodeError(`${what}:`, error);
  }
}

/** Names for cards of the same source that are used together: reference, reference-2, and so on. */
export function distinctNames<Source extends { readonly name: string }>(cards: readonly Source[]): Source[] {
  const seen = new Map<string, number>();
  return cards.map((card) => {
    const count = (seen.get(card.name) ?? 0) + 1;
    seen.set(card.name, count);
    return count === 1 ? card : { ...card, name: `${card.name}-${count}` };
  });
}

/** `a=1,b.c=on` -> { a: 1, b: { c: true } } */
function parseOptions(settings: readonly string[], argument: string): CardOptions {
  const options = emptyOptions();
  for (const setting of settings) {
    const [path = '', value] = setting.split(/=(.*)/s);
    if (path === '' || value === undefined) {
      throw new UsageError(
        `--card ${argument}: '${setting}' is not an option; write name=value, as in reference,addressBits=32`,
      );
    }
    const keys = path.split('.');
    const last = keys.pop()!;
    let group = options;
    for (const key of keys) group = groupAt(group, key, argument);
    group[last] = parseValue(value);
  }
  return options;
}

/** Without a prototype: `__proto__` is a name like any other. */
const emptyOptions = (): CardOptions => Object.create(null) as CardOptions;

function groupAt(group: CardOptions, key: string, argument: string): CardOptions {
  const inner = (group[key] ??= emptyOptions());
  if (typeof inner === 'object') return inner;
  throw new UsageError(`--card ${argument}: '${key}' has both a value and options of its own`);
}

function parseValue(value: string): OptionValue {
  if (value === 'true' || value === 'on') return true;
  if (value === 'false' || value === 'off') return false;
  const number = Number(value);
  return value.trim() !== '' && !Number.isNaN(number) ? number : value;
}

function makerOf(exported: CardMaker | CardClass): CardMaker {
  return (options) => (isCardClass(exported) ? new exported(options) : exported(options));
}

type CardClass = new (options: Parameters<CardMaker>[0]) => PciCard;
type MultifunctionClass = new (options: Parameters<CardMaker>[0]) => MultifunctionCard;
const isMultifunctionClass = (exported: unknown): exported is MultifunctionClass =>
  typeof exported === 'function' && exported.prototype instanceof MultifunctionCard;
const isCardClass = (exported: CardMaker | CardClass): exported is CardClass => exported.prototype instanceof PciCard;

/** The card's class, or the function that makes it. */
async function exportedBy(file: string): Promise<CardMaker | CardClass> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new UsageError(
      `--card ${file}: no built-in card has this name (built in: ${Object.keys(BUILT_IN_CARDS).join(', ')}), and there is no file ${path}`,
    );
  }
  if (!statSync(path).isFile()) throw new UsageError(`--card ${file}: ${path} is neither a file nor a built-in card`);
  const exported = await defaultExportOf(path).catch((error: unknown) => {
    if (isWithoutGhostcard(error)) {
      throw new UsageError(
        `--card ${file}: it imports ghostcard, which is not installed where the file is. In ${dirname(path)} or a folder above ` +
          'it: npm install ghostcard (or the file ghostcard-VERSION.tgz), and then npx ghostcard there',
      );
    }
    throw new CardCodeError(`--card ${file}: the file could not be loaded:`, error);
  });
  if (typeof exported !== 'function') {
    throw new UsageError(
      `--card ${file}: its default export is ${typeof exported === 'object' ? 'an object' : typeof exported}; ` +
        'export a class that extends PciCard (export default class MyCard extends PciCard …) or a function that returns one',
    );
  }
  if (isForeignClass(exported)) {
    throw new UsageError(
      `--card ${file}: the class that it exports does not extend a PciCard or MultifunctionCard of this ghostcard, which is ` +
        `in ${PACKAGE_FOLDER}. If it extends that of another copy, use one copy for both: npx ghostcard in the card's project`,
    );
  }
  return exported as CardMaker;
}

const isWithoutGhostcard = (error: unknown): boolean =>
  error instanceof Error && /^Cannot find (module|package) 'ghostcard['/]/.test(error.message);

const isForeignClass = (exported: unknown): boolean =>
  String(exported).startsWith('class') && !isCardClass(exported as CardMaker) && !isMultifunctionClass(exported);
