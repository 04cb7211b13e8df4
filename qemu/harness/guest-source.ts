/**
 * Where the guests of a test file come from. Each test has one of its own; or they share one, as long as tests pass: what
 * a failed test has left behind must not make the next one fail, so after it comes a new guest.
 */
import { Rig, type RigOptions } from '../rig';
import { provisionOnce } from './provisioning';

/** What a guest is made like. */
export type GuestOptions = Pick<
  RigOptions,
  | 'start'
  | 'hostRoot'
  | 'shares'
  | 'memoryMiB'
  | 'cpus'
  | 'hugepages'
  | 'slots'
  | 'kernelAppend'
  | 'accel'
  | 'extraQemuArgs'
  | 'bootTimeoutMs'
>;

/** Slots that a shared guest must have left for another test; a slot is used once. */
const ENOUGH_SLOTS = 4;

export class GuestSource {
  #shared: Rig | undefined;
  #isLent = false;
  /** Starts that have not come to their end; a test whose time is over does not wait for its own. */
  readonly #starting = new Set<Promise<unknown>>();

  constructor(
    private readonly scope: 'test' | 'file',
    private readonly options: GuestOptions,
  ) {}

  /** Aborting `signal` ends the start, and leaves nothing behind; it is of no effect once the guest is there. */
  async take(signal: AbortSignal): Promise<Rig> {
    if (this.scope === 'test') return this.#start(signal);
    if (this.#isLent) {
      throw new Error("Tests that share a guest (scope: 'file') take turns: two of them are running at the same time.");
    }
    const rig = (await this.#usable()) ?? (await this.#start(signal));
    this.#shared = rig;
    this.#isLent = true;
    return rig;
  }

  /** Takes a guest back; only a shared one that is `clean` is used again. */
  async giveBack(rig: Rig, clean: boolean): Promise<void> {
    this.#isLent = false;
    if (this.scope === 'file' && clean && !rig.guest.died.aborted) return;
    if (this.#shared === rig) this.#shared = undefined;
    await rig.close();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await this.#shared?.close();
  }

  async #usable(): Promise<Rig | undefined> {
    const rig = this.#shared;
    if (rig === undefined) return undefined;
    if (!rig.guest.died.aborted && rig.guest.freeSlots >= ENOUGH_SLOTS) return rig;
    this.#shared = undefined;
    await rig.close();
    return undefined;
  }

  async #start(signal: AbortSignal): Promise<Rig> {
    const started = start(this.options, signal);
    this.#starting.add(started);
    try {
      return await started;
    } finally {
      this.#starting.delete(started);
    }
  }
}

async function start(options: GuestOptions, signal: AbortSignal): Promise<Rig> {
  const starting = new AbortController();
  const abort = (): void => starting.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    const provisioned = await provisionOnce();
    const rig = await Rig.start({ ...options, provisioned, signal: starting.signal, onCardEvent: () => {} });
    if (!signal.aborted) return rig;
    await rig.close();
    throw signal.reason as Error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
