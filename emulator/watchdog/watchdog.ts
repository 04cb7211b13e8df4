/**
 * Ends this process when the model of a card does not return: an endless loop in a hook blocks the event loop, and with
 * it time limits, Ctrl-C and everything else that could end a run.
 *
 * The thread that serves cards has a heartbeat while it does. A second thread (thread.js) sees it stop, says where the
 * model is, and ends the process; their guards then end the guest and remove the folders.
 */
import { url as debuggerAddress } from 'node:inspector';
import { join } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';

/**
 * What may block without being a card's model: `cards` only warns (a test may well wait for a
 * compiler); `process` ends the process then too: it is our own.
 */
export type WatchdogScope = 'cards' | 'process';

const DEFAULT_LIMIT_S = 10;
const BEAT_MS = 500;
/** Code that drives cards: what lies above a frame of it on the stack is the model of a card. */
const DRIVING_FOLDERS = ['emulator', 'instrumentation'].map((folder) => join(__dirname, '..', '..', folder));

class Watchdog {
  /** The current limit: Infinity while no card is served. */
  #limitMs = Infinity;
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  #served = 0;
  #scope: WatchdogScope = 'cards';
  #isOff = false;
  readonly #activities = new Set<string>();
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** For whoever owns the process; before any card is served. */
  configure({ scope, off }: { scope?: WatchdogScope; off?: boolean }): void {
    if (scope !== undefined) this.#scope = scope;
    if (off !== undefined) this.#isOff = off;
  }

  /** Says what the program is doing, until what is returned has been disposed of: "the test 'rings the bell'". */
  during(activity: string): Disposable {
    this.#activities.add(activity);
    this.#tell();
    return {
      [Symbol.dispose]: () => {
        this.#activities.delete(activity);
        this.#tell();
      },
    };
  }

  /** Watches until what is returned has been disposed of. Costs the caller about two milliseconds, the first time. */
  watch(): Disposable {
    const limitMs = limitFromEnvironment(process.env.GHOSTCARD_WATCHDOG) * 1000;
    // Threads are not watched: a stack can be had, and the process ended with a code, from the main thread only.
    if (this.#isOff || limitMs === 0 || !isMainThread || debuggerAddress() !== undefined)
      return { [Symbol.dispose]: () => {} };
    if (this.#served++ === 0) this.#start(limitMs);
    let isWatching = true;
    return {
      [Symbol.dispose]: () => {
        if (isWatching && --this.#served === 0) this.#stop();
        isWatching = false;
      },
    };
  }

  #start(limitMs: number): void {
    this.#worker ??= new Worker(join(__dirname, 'thread.js'), {
      execArgv: [], // no loaders: it is plain JavaScript, and starts in a tenth of the time
      env: {},
      workerData: { beats: this.#beats, beatMs: BEAT_MS, folders: DRIVING_FOLDERS },
    });
    this.#worker.unref();
    this.#limitMs = limitMs;
    this.#tell();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  #beat(): void {
    Atomics.add(this.#beats, 0, 1);
    if (debuggerAddress() !== undefined) this.#stop(); // a debugger has come (SIGUSR1): a breakpoint is no endless loop
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#limitMs = Infinity;
    this.#tell();
  }

  #tell(): void {
    this.#worker?.postMessage({ limitMs: this.#limitMs, scope: this.#scope, activities: [...this.#activities] });
  }
}

/** One event loop, one watchdog. */
export const watchdog = new Watchdog();

/** Seconds without a heartbeat; 0 is for none. Throws on what makes no sense. */
export function limitFromEnvironment(setting: string | undefined): number {
  if (setting === undefined || setting === '') return DEFAULT_LIMIT_S;
  const seconds = Number(setting);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw new Error(
    `GHOSTCARD_WATCHDOG is '${setting}'; it must be a number of seconds (default ${DEFAULT_LIMIT_S}), or 0 for no limit`,
  );
}
