/**
 * The checks of one card: passes each event to those that look at its kind, gives the notice of the first occurrence, and
 * counts the rest. A card has them from before it is driven for the first time.
 */
import { type AccessEvent, type CardEvent, onFirstDriven, type PciCard, Region } from '../../emulator/pci';
import { type CardNotice, traceOf } from '../trace';
import { type CheckSite, type MemoryErrors, type Watch } from './check';
import { CHECKS, type EventCheckName, requireCheck } from './kinds';
import { type PageFacts, PageStage } from './pages';
import { Registers, WHOLE } from './registers';

/** Which checks are off, and who is told. */
export interface CheckOptions {
  /** Checks that are switched off, by name; an unknown one is a RangeError. Default: none. */
  readonly off?: readonly string[];
  /** Receives the notice of the first occurrence. It is kept in the trace, and recorded, in any case. */
  readonly onNotice?: (notice: CardNotice) => void;
}

/** How often a check has found something, and where. */
export interface CheckCount {
  readonly kind: string;
  readonly times: number;
  /** Registers, channels or interrupts, in the order of their first occurrence; 16 at most. */
  readonly subjects: readonly string[];
}

const SUBJECTS = 16;
const known = new WeakMap<PciCard, CardChecks>();

/** The checks of a card; with options, from now on with these. */
export function checksOf(card: PciCard, options?: CheckOptions): CardChecks {
  let checks = known.get(card);
  if (checks === undefined) known.set(card, (checks = new CardChecks(card)));
  if (options || !checks.isConfigured) checks.configure(options ?? {});
  return checks;
}

onFirstDriven.add((card) => void checksOf(card));

type Watches = { readonly [Kind in keyof Watch]-?: NonNullable<Watch[Kind]>[] };

/** The checks of one card, and what they have counted. */
export class CardChecks {
  /** @internal */
  isConfigured = false;
  readonly #counts = new Map<string, { kind: string; times: number; subjects: string[] }>();
  #watches: Watches = noWatches();
  readonly #registers: Registers;
  readonly #traffic = { accesses: 0, writes: 0 };
  readonly #memory: { errors?: MemoryErrors } = {};
  /** Of the last event that was a signal (`Watch.signalled`); `timeNs` is -1 when the checks have seen what it said. */
  readonly #signal = { timeNs: -1, accesses: 0 };
  #stop: () => void = () => {};
  #onNotice: (notice: CardNotice) => void = () => {};

  /** @internal Use `checksOf`. */
  constructor(private readonly card: PciCard) {
    this.#registers = new Registers(card);
  }

  /** @internal Options in place of those before. */
  configure({ off = [], onNotice = () => {} }: CheckOptions): void {
    off.forEach(requireCheck);
    this.isConfigured = true;
    this.#onNotice = onNotice;
    this.#stop();
    this.#watches = noWatches();
    const kinds = (Object.keys(CHECKS) as EventCheckName[]).filter((kind) => !off.includes(kind));
    if (kinds.length === 0) return;
    const { card } = this;
    const shared = {
      card,
      trace: traceOf(card),
      registers: this.#registers,
      traffic: this.#traffic,
      memory: this.#memory,
    };
    for (const kind of kinds) {
      const report: CheckSite['report'] = (subject, word, about) => this.#report(kind, subject, word, about);
      const watch = CHECKS[kind].make({ ...shared, report });
      for (const name of Object.keys(watch) as (keyof Watch)[]) this.#watches[name].push(watch[name] as never);
    }
    this.#stop = this.card.inspection.events.subscribe((event, timeNs) => this.#take(event, timeNs));
  }

  /**
   * @internal Looks at the pages that the card accesses from now on. To be called once at most, where the card's addresses are those
   * of the driver's memory.
   */
  lookAtPages(pages: PageFacts): void {
    if (this.#watches.strayAccess.length === 0) return;
    this.card.inspection.dma.insertAtMemory(
      (memory) =>
        new PageStage(
          memory,
          pages,
          (access) => {
            for (const watch of this.#watches.strayAccess) watch(access);
          },
          (page) => {
            for (let i = 0; i < this.#watches.pageUsed.length; i++) this.#watches.pageUsed[i]!(page);
          },
        ),
    );
  }

  /** @internal It is known from now on whether the errors that the card writes to memory are loaded there. */
  lookAtErrors(errors: MemoryErrors): void {
    this.#memory.errors = errors;
  }

  /** What has been found, in the order of first occurrences. */
  get counts(): readonly CheckCount[] {
    return [...this.#counts.values()];
  }

  /** @internal Whether it matters now that the card's driver goes: it may still be at work for it. */
  get isUnsettled(): boolean {
    return this.#watches.isUnsettled.some((watch) => watch());
  }

  /** @internal To be called when the driver of the card has gone; `what` says how that is known. */
  driverLeft(what: string): void {
    const timeNs = this.card.inspection.now();
    this.#showSignal();
    for (const watch of this.#watches.driverLeft) watch(what, timeNs);
    this.card.inspection.events.changed(); // which lets notices out: no event comes
  }

  #take(event: CardEvent, timeNs: number): void {
    const watches = this.#watches;
    if (this.#signal.timeNs >= 0) this.#showSignal();
    switch (event.kind) {
      case 'read':
      case 'write':
        return this.#takeAccess(event, timeNs);
      case 'dma-read':
      case 'dma-write':
        if (event.error !== undefined) this.#signalled(timeNs);
        for (let i = 0; i < watches.dma.length; i++) watches.dma[i]!(event, timeNs);
        return;
      case 'interrupt':
        if (event.phase === 'raised') this.#signalled(timeNs);
        for (const watch of watches.interrupt) watch(event, timeNs);
        return;
      case 'state':
        this.#signalled(timeNs);
        for (const watch of watches.state) watch(event, timeNs);
        return;
      case 'reset':
        for (const watch of watches.reset) watch(event);
    }
  }

  #signalled(timeNs: number): void {
    if (this.#watches.signalled.length > 0) {
      this.#signal.timeNs = timeNs;
      this.#signal.accesses = this.#traffic.accesses;
    }
  }

  #showSignal(): void {
    const { timeNs, accesses } = this.#signal;
    this.#signal.timeNs = -1;
    if (timeNs >= 0) for (const watch of this.#watches.signalled) watch(timeNs, accesses);
  }

  #takeAccess(event: AccessEvent, timeNs: number): void {
    const { kind, region, offset, data } = event;
    if (region === Region.CONFIG) {
      for (const watch of this.#watches.config) watch(event);
      return;
    }
    this.#traffic.accesses++;
    if (kind === 'write') this.#traffic.writes++;
    const flags = this.#registers.flags(region, offset);
    if (data.length !== 4 || (flags & WHOLE) === 0) {
      for (const watch of this.#watches.oddAccess) watch(event);
    } else if (flags !== WHOLE) {
      const watches = this.#watches[kind];
      for (let i = 0; i < watches.length; i++) watches[i]!(event, timeNs);
    }
  }

  #report(kind: EventCheckName, subject: string, word: () => string, about: Parameters<CheckSite['report']>[2]): void {
    const count = this.#counts.get(kind);
    if (count !== undefined) {
      count.times++;
      if (count.subjects.length < SUBJECTS && !count.subjects.includes(subject)) count.subjects.push(subject);
      return;
    }
    this.#counts.set(kind, { kind, times: 1, subjects: [subject] });
    const notice: CardNotice = { kind, text: `${word()} [${kind}]`, ...about };
    // After the event that it is about has reached every subscriber: a recording has it before the notice.
    const stop = this.card.inspection.events.onChange(() => {
      stop();
      traceOf(this.card).add({ kind: 'notice', text: notice.text });
      this.#onNotice(notice);
    });
  }
}

const noWatches = (): Watches => ({
  ...{ read: [], write: [], oddAccess: [], config: [], dma: [], pageUsed: [], strayAccess: [] },
  ...{ interrupt: [], state: [], signalled: [], reset: [], isUnsettled: [], driverLeft: [] },
});
