/** `ghostcard trace show`: the events of a recording, one a line. */
import { Command } from 'commander';
import {
  describeWithoutTime,
  type DmaCause,
  DmaCauses,
  EventSelector,
  eventToJson,
  notSeen,
  RepeatFolder,
  TraceCards,
  wordEventTime,
  wordWritten,
  writtenBytes,
} from '../../../instrumentation/analysis';
import { isBarAccess, printable, type TraceEvent, type TraceReader } from '../../../instrumentation/trace';
import { interruption } from '../../common/interruption';
import { wholeNumber } from '../../common/options';
import { coloured, showsColours } from './colours';
import { changesOf } from './follow';
import { Lines } from '../../common/output';
import { openTrace, reportDamage } from './open';
import { addSelectionOptions, checkPlaces, checkRegisters, selectionOf, type SelectionOptions } from './selection';

interface ShowOptions extends SelectionOptions {
  readonly last?: number;
  readonly follow?: true;
  readonly all?: true;
  readonly provenance?: true;
  readonly json?: true;
}

export function showCommand(): Command {
  const command = new Command('show')
    .description('Print the events of a recording, one a line, with the names of registers and fields.')
    .argument('<file>', 'the recording');
  return addSelectionOptions(command)
    .option('--last <n>', 'only the last lines', wholeNumber(1, 1e9))
    .option('--follow', 'continue while the recording grows, until it ends (or Ctrl-C)')
    .option('--all', 'every event, repetitions included')
    .option('--provenance', 'under DMA, who wrote what was read, and which doorbell it came from')
    .option('--json', 'print events as JSON, one a line')
    .action(async (file: string, options: ShowOptions) => {
      using reader = openTrace(file);
      await show(reader, options);
    });
}

async function show(reader: TraceReader, options: ShowOptions): Promise<void> {
  const cards = new TraceCards();
  const selector = new EventSelector(selectionOf(options), cards);
  const page = new Page(options, cards);
  let isLookedAhead = false;
  /** The names of places in code come when a command has ended. */
  const lookAhead = (): void => {
    isLookedAhead = true;
    using ahead = openTrace(reader.path);
    for (const event of ahead.events()) if (event.kind === 'place') cards.note(event);
  };
  const readOn = async (): Promise<void> => {
    for (const event of reader.events()) {
      cards.note(event);
      if (event.kind === 'place' && !isLookedAhead) lookAhead();
      page.note(event);
      if (page.takeOrigin(event) || page.takeWritten(event)) continue;
      if (selector.selects(event)) page.take(event);
      else page.pass(event);
      if (page.isFull) await page.drain();
    }
    page.release();
  };
  page.begin(reader);
  await readOn();
  if (cards.all.length > 0) checkRegisters(selector);
  if (cards.all.length > 0 && (reader.isEnded || !options.follow)) checkPlaces(selector, cards, options);
  if (options.follow && !reader.isEnded) {
    page.showKept();
    await page.drain();
    for await (const _ of changesOf(reader.path, interruption())) {
      await readOn();
      await page.drain();
      if (reader.isEnded) break;
    }
  }
  const { missedEvents, isEnded, damage } = reader;
  const missed = missedEvents > 0 ? [`${missedEvents} events were overwritten before they could be read`] : [];
  page.end({ isEnded, notSeen: [...notSeen(reader.header, cards, isEnded), ...missed], damage });
  await page.drain();
  reportDamage(reader.path, damage);
}

/** On one line, for a terminal too. */
const jsonOf = (value: object): string => printable(JSON.stringify(value));

/** How far lines below DMA are indented. */
const BELOW = 23;

/** The output. */
class Page {
  /** Of the event that is being taken, if it is DMA. */
  #cause: DmaCause | undefined;
  readonly #lines = new Lines();
  readonly #repeats: RepeatFolder<{ event: TraceEvent; text: string }>;
  readonly #hasColours: boolean;
  /** With `--provenance`. */
  readonly #causes: DmaCauses | undefined;
  /** An access that waits for its origin, which is printed in its line; or DMA, for who wrote what it has read. */
  #waiting: { event: TraceEvent; text: string; cause?: DmaCause } | undefined;
  /** The last lines, until it is known that they are the last; undefined when all are printed. */
  #kept: string[] | undefined;

  constructor(
    private readonly options: ShowOptions,
    private readonly cards: TraceCards,
  ) {
    this.#kept = options.last === undefined ? undefined : [];
    this.#hasColours = showsColours();
    this.#causes = options.provenance && new DmaCauses(cards);
    this.#repeats = new RepeatFolder({
      item: ({ event, text }) => this.#print(event, text),
      repeated: (length, times, { event }) => {
        const what = length === 1 ? '' : `the last ${length} lines `;
        this.#add(`${wordEventTime(event)}  … ${what}${times === 1 ? 'once' : `${times} times`} more`);
      },
    });
  }

  begin({ header, path }: TraceReader): void {
    if (this.options.json) this.#lines.add(jsonOf({ kind: 'header', ...header }));
    else this.#lines.add(printable(`# ${path}: recorded by ghostcard ${header.writer}, begun ${header.startedAt}`));
  }

  /** Whether `drain` is to be called. */
  get isFull(): boolean {
    return this.#lines.isFull;
  }

  /** Every event, before it is taken or passed. */
  note(event: TraceEvent): void {
    this.#cause = this.#causes?.take(event);
  }

  take(event: TraceEvent): void {
    if (this.options.json) return this.#add(jsonOf(eventToJson(event, this.cards)));
    this.release();
    this.#waiting = { event, text: describeWithoutTime(event, this.cards), ...(this.#cause && { cause: this.#cause }) };
    if (!isBarAccess(event) && this.#cause === undefined) this.release();
  }

  /** An event that is not printed. */
  pass(event: TraceEvent): void {
    if (isBarAccess(event) || this.#cause) this.release();
  }

  /** True when the event belongs to the line of an access: it says who did it. */
  takeOrigin(event: TraceEvent): boolean {
    if (this.options.json) return false;
    if (event.kind === 'place') return true;
    const access = this.#waiting;
    if (event.kind !== 'origin' || access?.event.card !== event.card) return false;
    if (!isBarAccess(access.event)) return true;
    access.text += `  ${describeWithoutTime({ ...event, card: 0 }, this.cards)}`;
    this.release();
    return true;
  }

  /** True when the event is not to be printed as such: it says who wrote what the DMA before it has read. */
  takeWritten(event: TraceEvent): boolean {
    if (this.options.json || event.kind !== 'written') return false;
    const dma = this.#waiting?.event;
    if (this.#causes === undefined || dma?.kind !== 'dma-read' || dma.card !== event.card) return true;
    this.#addBelow(wordWritten(writtenBytes(event, dma, this.cards), dma));
    return true;
  }

  /** Prints the access, or DMA, that waits, if there is one. */
  release(): void {
    if (this.#waiting === undefined) return;
    const { event: dma, cause } = this.#waiting;
    if (dma.kind === 'dma-write' && cause) this.#addBelow([this.#causes!.word(cause)]);
    const { event, text } = this.#waiting;
    this.#waiting = undefined;
    if (this.options.all) this.#print(event, text);
    else this.#repeats.take({ event, text }, text);
  }

  showKept(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const line of kept.slice(-this.options.last!)) this.#lines.add(line);
  }

  end({ isEnded, notSeen, damage }: { isEnded: boolean; notSeen: readonly string[]; damage: readonly string[] }): void {
    this.#repeats.end();
    if (this.#kept) this.showKept();
    if (this.options.json)
      this.#lines.add(jsonOf({ kind: 'summary', isEnded, notSeen, ...(damage.length > 0 && { damage }) }));
    else for (const warning of notSeen) this.#lines.add(`# ${warning}`);
  }

  drain(): Promise<void> {
    return this.#lines.drain();
  }

  #addBelow(lines: readonly string[]): void {
    this.#waiting!.text += lines
      .filter(Boolean)
      .map((line) => `\n${' '.repeat(BELOW)}${line}`)
      .join('');
  }

  #print(event: TraceEvent, text: string): void {
    this.#add(`${wordEventTime(event)}  ${this.#hasColours ? coloured(event, text) : text}`);
  }

  #add(line: string): void {
    if (this.#kept === undefined) return void this.#lines.add(line);
    this.#kept.push(line);
    if (this.#kept.length >= 2 * this.options.last!) this.#kept.splice(0, this.#kept.length - this.options.last!);
  }
}
