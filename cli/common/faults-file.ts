/**
 * `--faults FILE`: faults to inject into the cards. A list of declarations (docs/faults.md), as JSON or as the default
 * export of a TypeScript or JavaScript file; with several cards, each names its card: `"card": "reference-2"`.
 */
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { ManualClock } from '../../emulator/clock';
import {
  checkFault,
  checkNumber,
  checkFaultFor,
  type FaultDeclaration,
  FaultDeclarationError,
  shown,
} from '../../instrumentation/faults';
import { privateMemory } from '../../emulator/pci';
import { type CardSource, functionsOf, type MultifunctionSource, type RemoteCardSource } from './card-source';
import { UsageError } from './errors';
import { defaultExportOf } from './user-module';

/** By the name of the card, or of one of its functions. */
export type FaultsByCard = ReadonlyMap<string, readonly FaultDeclaration[]>;

/** Reads the files and checks the faults against the cards, before anything is started. */
export async function loadFaults(
  files: readonly string[],
  sources: readonly (CardSource | MultifunctionSource | RemoteCardSource)[],
): Promise<FaultsByCard> {
  if (files.length === 0) return new Map();
  const cards = sources.flatMap((source): readonly (CardSource | RemoteCardSource)[] =>
    'socketPath' in source ? [source] : functionsOf(source),
  );
  const byCard = new Map<CardSource, Declared[]>();
  for (const file of files) {
    for (const declared of await declarationsIn(file)) {
      const source = cardFor(declared.card, cards, declared.place);
      if (!byCard.has(source)) byCard.set(source, []);
      byCard.get(source)!.push(declared);
    }
  }
  for (const [source, declared] of byCard) checkAgainst(source, declared);
  return new Map([...byCard].map(([{ name }, declared]) => [name, declared.map(({ declaration }) => declaration)]));
}

interface Declared {
  readonly card: unknown;
  readonly declaration: FaultDeclaration;
  /** The file and the place in it, for messages. */
  readonly place: string;
}

async function declarationsIn(file: string): Promise<Declared[]> {
  const list = await contentsOf(file);
  if (!Array.isArray(list)) {
    throw new UsageError(
      `--faults ${file}: it holds ${shown(list, 'nothing')}; it must hold a list of faults: [{ "fault": … }, …]`,
    );
  }
  asUsageError(() => checkNumber(list.length, `--faults ${file}`));
  return list.map((entry: unknown, index) => {
    const { card, ...rest } = Object(entry) as { card?: unknown; fault?: unknown };
    const kind = typeof rest.fault === 'string' ? ` (${rest.fault})` : '';
    const place = `--faults ${file}, fault ${index + 1}${kind}`;
    const declaration: unknown = typeof entry === 'object' && !Array.isArray(entry) && entry !== null ? rest : entry;
    asUsageError(() => checkFault(declaration, place));
    return { card, declaration: declaration as FaultDeclaration, place };
  });
}

async function contentsOf(file: string): Promise<unknown> {
  const path = resolve(file);
  try {
    if (extname(path) === '.json') return JSON.parse(readFileSync(path, 'utf8'));
    readFileSync(path);
    return await defaultExportOf(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`--faults ${file}: ${code === 'ENOENT' ? `there is no file ${path}` : message}`);
  }
}

function cardFor(wanted: unknown, cards: readonly (CardSource | RemoteCardSource)[], place: string): CardSource {
  const names = cards.map(({ name }) => name).join(', ');
  const [only] = cards;
  const source = wanted === undefined && cards.length === 1 ? only : cards.find(({ name }) => name === wanted);
  if (source === undefined) {
    const problem = wanted === undefined ? 'which card is it for?' : `there is no card ${shown(wanted)}.`;
    throw new UsageError(`${place}: ${problem} "card" must be one of: ${names}`);
  }
  if ('make' in source) return source;
  throw new UsageError(
    `${place}: the card ${source.name} is served by another process, at ${source.socketPath}: give --faults to that ` +
      'process (ghostcard serve --faults FILE)',
  );
}

/** Checks the declarations on a card that is made for this only. */
function checkAgainst({ make }: CardSource, declared: readonly Declared[]): void {
  const card = make({ clock: new ManualClock(), allocate: privateMemory });
  try {
    for (const { declaration, place } of declared) asUsageError(() => checkFaultFor(card, declaration, place));
  } finally {
    card.close();
  }
}

function asUsageError(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof FaultDeclarationError) throw new UsageError(error.message);
    throw error;
  }
}
