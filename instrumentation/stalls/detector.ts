/**
 * Watches, at the card, whether its driver waits in vain. The card's model knows nothing of it, and neither does the
 * driver. What comes by is counted; whether it is too much is looked at from time to time, and not at all while nothing
 * happens.
 */
import { type Clock, type ScheduledTask } from '../../emulator/clock';
import { type CardEvent } from '../../emulator/pci';
import { type CardTrace } from '../trace';
import { type StallNotice } from './notice';
import { Polling } from './polling';
import { Waiting } from './waiting';

export interface StallOptions {
  /** How long a driver may wait without progress. Default 1000. */
  readonly limitMs?: number;
  /** How often it must have read a register meanwhile to be polling. Default 100. */
  readonly polls?: number;
  /** By which the time is told. Default: the time of this process. */
  readonly clock?: Pick<Clock, 'now' | 'after'>;
  /** Gets each notice; it is kept in the trace, and recorded, in any case. */
  readonly onNotice?: (notice: StallNotice) => void;
}

/** How often it is looked, in a time limit. */
const LOOKS = 4;

/** Watches the driver of a card until what is returned has been disposed of. A card has one watch. */
export function detectStalls(trace: CardTrace, options: StallOptions = {}): Disposable {
  return new StallDetector(trace, options);
}

class StallDetector implements Disposable {
  readonly #unsubscribe: () => void;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #limitNs: number;
  readonly #polling: Polling;
  readonly #waiting: Waiting;
  readonly #onNotice: (notice: StallNotice) => void;
  /** The next look; undefined while nothing happens. */
  #next: ScheduledTask | undefined;
  #lastLookNs = 0;
  #accesses = 0;
  #accessesSeen = 0;
  /** Beside accesses. */
  #happenings = 0;
  #happeningsSeen = 0;
  /** Since the driver's last access, and since anything has happened. */
  #quietNs = 0;
  #idleNs = 0;

  constructor(
    private readonly trace: CardTrace,
    { limitMs = 1000, polls = 100, clock = processTime, onNotice = () => {} }: StallOptions,
  ) {
    this.#clock = clock;
    this.#limitNs = limitMs * 1e6;
    this.#polling = new Polling(trace, { polls, limitNs: this.#limitNs });
    this.#waiting = new Waiting(trace, this.#limitNs);
    this.#onNotice = onNotice;
    this.#unsubscribe = trace.card.inspection.events.subscribe((event) => this.#take(event));
  }

  #take(event: CardEvent): void {
    switch (event.kind) {
      case 'read':
        this.#waiting.read(event.region);
        return this.#accessed();
      case 'write':
        this.#waiting.write(event.region, event.offset);
        return this.#accessed();
      case 'dma-read':
      case 'dma-write':
        this.#waiting.dma();
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
    this.#happenings++;
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
    this.#lastLookNs = this.#clock.now();
    this.#quietNs = this.#idleNs = 0;
    this.#lookLater();
  }

  #lookLater(): void {
    this.#next = this.#clock.after(this.#limitNs / LOOKS, () => this.#look());
  }

  #look(): void {
    const nowNs = this.#clock.now();
    // A process that stood still (a breakpoint, a suspended machine) has seen nothing of what the driver did meanwhile.
    const elapsedNs = Math.min(nowNs - this.#lastLookNs, (2 * this.#limitNs) / LOOKS);
    this.#lastLookNs = nowNs;
    const hasAccessed = this.#accesses !== this.#accessesSeen;
    const hasHappened = hasAccessed || this.#happenings !== this.#happeningsSeen;
    this.#accessesSeen = this.#accesses;
    this.#happeningsSeen = this.#happenings;
    this.#quietNs = hasAccessed ? 0 : this.#quietNs + elapsedNs;
    this.#idleNs = hasHappened ? 0 : this.#idleNs + elapsedNs;
    const isQuiet = this.#quietNs >= this.#limitNs;
    if (isQuiet) this.#polling.progress(); // it has stopped
    const notice = isQuiet ? this.#waiting.look(this.#quietNs) : this.#polling.look(elapsedNs);
    if (notice) {
      this.trace.add({ kind: 'notice', text: notice.text });
      this.#onNotice(notice);
    }
    // Two limits: an interrupt that is raised while the driver is quiet is given one of its own.
    if (this.#idleNs < 2 * this.#limitNs) this.#lookLater();
    else this.#next = undefined;
  }
}

/** The time of this process; its timers keep no process alive. */
const processTime: Pick<Clock, 'now' | 'after'> = {
  now: () => performance.now() * 1e6,
  after: (delayNs, task) => {
    const timer = setTimeout(task, delayNs / 1e6).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
