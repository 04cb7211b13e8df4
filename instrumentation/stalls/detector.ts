/**
 * Detects, from what a card sees, that its driver has stalled. Neither the card's model nor the driver takes part. Events
 * only count; a timer checks the counts now and then, and not at all while nothing happens.
 */
import { type Clock, type ScheduledTask } from '../../emulator/clock';
import { type CardEvent } from '../../emulator/pci';
import { type CardTrace } from '../trace';
import { type StallNotice } from './notice';
import { Polling } from './polling';
import { Waiting } from './waiting';

/** When a driver counts as stalled. */
export interface StallOptions {
  /** How long a driver may wait without progress. Default 1000. */
  readonly limitMs?: number;
  /** How often it must have read a register meanwhile to count as polling. Default 100. */
  readonly polls?: number;
  /** The clock that measures the limit. Default: the time of this process. */
  readonly clock?: Pick<Clock, 'now' | 'after'>;
  /** Kinds that are not reported. Default: none. */
  readonly off?: readonly string[];
  /** Called now and then while a driver may have stalled, before there is a notice: what is in that can be found out. */
  readonly onSuspicion?: () => void;
  /** Receives each notice. It is kept in the trace, and recorded, in any case. */
  readonly onNotice?: (notice: StallNotice) => void;
}

/** Checks for each time limit. */
const CHECKS = 4;

/** Detects stalls of a card's driver until the returned object is disposed of. A card has one detector. */
export function detectStalls(trace: CardTrace, options: StallOptions = {}): Disposable {
  return new StallDetector(trace, options);
}

class StallDetector implements Disposable {
  readonly #unsubscribe: () => void;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #limitNs: number;
  readonly #polling: Polling;
  readonly #waiting: Waiting;
  readonly #off: readonly string[];
  readonly #onSuspicion: () => void;
  readonly #onNotice: (notice: StallNotice) => void;
  /** The next check; undefined while nothing happens. */
  #next: ScheduledTask | undefined;
  #lastCheckNs = 0;
  #accesses = 0;
  #accessesSeen = 0;
  /** Other events than accesses. */
  #events = 0;
  #eventsSeen = 0;
  /** Time since the driver's last access, and since any event. */
  #quietNs = 0;
  #idleNs = 0;

  constructor(
    private readonly trace: CardTrace,
    {
      limitMs = 1000,
      polls = 100,
      clock = processTime,
      off = [],
      onSuspicion = () => {},
      onNotice = () => {},
    }: StallOptions,
  ) {
    this.#clock = clock;
    this.#limitNs = limitMs * 1e6;
    this.#polling = new Polling(trace, { polls, limitNs: this.#limitNs });
    this.#waiting = new Waiting(trace, this.#limitNs);
    this.#off = off;
    this.#onSuspicion = onSuspicion;
    this.#onNotice = onNotice;
    this.#unsubscribe = trace.card.inspection.events.subscribe((event) => this.#take(event));
  }

  #take(event: CardEvent): void {
    switch (event.kind) {
      case 'read':
        this.#waiting.read(event.region);
        return this.#accessed();
      case 'write':
        this.#waiting.write(event.region, event.offset, event.data);
        return this.#accessed();
      case 'dma-read':
      case 'dma-write':
        this.#waiting.dma(event);
        break;
      case 'task':
        this.#polling.turn();
        break;
      case 'interrupt':
        this.#polling.progress();
        this.#waiting.interrupt(event.phase, event.index, event.vector, event.reason);
        break;
      case 'state':
        this.#polling.progress();
        this.#waiting.state(event.part, event.state);
        break;
      case 'fault':
        this.#waiting.fault(event.fault);
        break;
      case 'reset':
        this.#polling.progress();
        this.#waiting.reset();
        break;
      default:
        return;
    }
    this.#events++;
    if (this.#next === undefined) this.#wake();
  }

  #accessed(): void {
    this.#accesses++;
    if (this.#next === undefined) this.#wake();
  }

  [Symbol.dispose](): void {
    this.#next?.cancel();
    this.#unsubscribe();
  }

  #wake(): void {
    this.#lastCheckNs = this.#clock.now();
    this.#quietNs = this.#idleNs = 0;
    this.#checkLater();
  }

  #checkLater(): void {
    this.#next = this.#clock.after(this.#limitNs / CHECKS, () => this.#check());
  }

  #check(): void {
    const nowNs = this.#clock.now();
    // A process that was stopped (a breakpoint, a suspended machine) has not seen what the driver did meanwhile.
    const elapsedNs = Math.min(nowNs - this.#lastCheckNs, (2 * this.#limitNs) / CHECKS);
    this.#lastCheckNs = nowNs;
    const hasAccessed = this.#accesses !== this.#accessesSeen;
    const hasEvents = hasAccessed || this.#events !== this.#eventsSeen;
    this.#accessesSeen = this.#accesses;
    this.#eventsSeen = this.#events;
    this.#quietNs = hasAccessed ? 0 : this.#quietNs + elapsedNs;
    this.#idleNs = hasEvents ? 0 : this.#idleNs + elapsedNs;
    const isQuiet = this.#quietNs >= this.#limitNs;
    if (isQuiet) this.#polling.progress(); // it has stopped
    const notice = isQuiet ? this.#waiting.check(this.#quietNs) : this.#polling.check(elapsedNs);
    if (notice && !this.#off.includes(notice.kind)) {
      const text = `${notice.text} [${notice.kind}]`;
      this.trace.add({ kind: 'notice', text });
      this.#onNotice({ ...notice, text });
    } else if (this.#quietNs > 0 || this.#polling.isSteady) this.#onSuspicion();
    // Two limits: an interrupt that is raised while the driver is quiet has a limit of its own.
    if (this.#idleNs < 2 * this.#limitNs) this.#checkLater();
    else this.#next = undefined;
  }
}

/** The time of this process; its timers do not keep the process alive. */
const processTime: Pick<Clock, 'now' | 'after'> = {
  now: () => performance.now() * 1e6,
  after: (delayNs, task) => {
    const timer = setTimeout(task, delayNs / 1e6).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
