/**
 * Where the guests of a test file come from. Each test has one of its own; or they share one, as long as tests pass: what
 * a failed test has left behind must not make the next one fail, so after it comes a new guest.
 */
import { type GuestArch } from '../qemu/provision';
import { Rig, type RigOptions } from '../qemu/rig';
import { provisionOnce } from './setup';

/** What a guest is made like. */
export type GuestOptions = Pick<
  RigOptions,
  | 'start'
  | 'hostRoot'
  | 'shares'
  | 'memoryMiB'
  | 'cpus'
  | 'hugepages'
  | 'iommu'
  | 'slots'
  | 'kernelAppend'
  | 'accel'
  | 'extraQemuArgs'
  | 'bootTimeoutMs'
> & {
  /** The guest's architecture. Default 'amd64'. */
  readonly arch?: GuestArch;
};

/** A guest with its cards, and what their servers have had to say. */
export interface Hosted {
  readonly rig: Rig;
  /** Lines: requests that were refused, cards that were restarted. */
  readonly notes: readonly string[];
}

/** Slots that a shared guest must have left for another test; a slot is used once. */
const ENOUGH_SLOTS = 4;

export class GuestSource {
  #shared: Hosted | undefined;
  #isLent = false;
  /** Starts that have not come to their end; a test whose time is over does not wait for its own. */
  readonly #starting = new Set<Promise<unknown>>();

  constructor(
    private readonly scope: 'test' | 'file',
    private readonly options: GuestOptions,
  ) {}

  /** Whether a guest goes on to the next test, and must be left as it was found. */
  get isShared(): boolean {
    return this.scope === 'file';
  }

  /** Aborting `signal` ends the start, and leaves nothing behind; it is of no effect once the guest is there. */
  async take(signal: AbortSignal): Promise<Hosted> {
    if (!this.isShared) return this.#start(signal);
    if (this.#isLent) {
      throw new Error("Tests that share a guest (scope: 'file') take turns: two of them are running at the same time.");
    }
    this.#shared = (await this.#usable()) ?? (await this.#start(signal));
    this.#isLent = true;
    return this.#shared;
  }

  /** Takes a guest back; only a shared one that is `clean` is used again. */
  async giveBack(rig: Rig, clean: boolean): Promise<void> {
    this.#isLent = false;
    if (this.isShared && clean && !rig.guest.died.aborted) return;
    if (this.#shared?.rig === rig) this.#shared = undefined;
    await rig.close();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await this.#shared?.rig.close();
  }

  async #usable(): Promise<Hosted | undefined> {
    const shared = this.#shared;
    if (shared === undefined) return undefined;
    const { guest } = shared.rig;
    if (!guest.died.aborted && guest.freeSlots >= ENOUGH_SLOTS) return shared;
    this.#shared = undefined;
    await shared.rig.close();
    return undefined;
  }

  async #start(signal: AbortSignal): Promise<Hosted> {
    const started = start(this.options, signal);
    this.#starting.add(started);
    try {
      return await started;
    } finally {
      this.#starting.delete(started);
    }
  }
}

async function start({ arch, ...options }: GuestOptions, signal: AbortSignal): Promise<Hosted> {
  const starting = new AbortController();
  const abort = (): void => starting.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    const provisioned = await provisionOnce(arch);
    const notes: string[] = [];
    const onCardEvent = (card: string, message: string): void => {
      // Connections are in the card's trace, and what its model throws is an error of the test.
      if (!/^(client (dis)?connected|the device failed)/.test(message)) notes.push(`${card}: ${message}`);
    };
    const rig = await Rig.start({ ...options, provisioned, signal: starting.signal, onCardEvent });
    if (!signal.aborted) return { rig, notes };
    await rig.close();
    throw signal.reason as Error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
