/**
 * The guests of a test file: one for each test, or one that they share as long as tests pass. After a failed test comes a
 * new guest, so that what the test has left behind cannot make the next one fail.
 */
import { Rig, type RigOptions } from '../qemu/rig/index.ts';
import { provisionOnce, type SoftwareChoice } from './setup.ts';

/** Options of a guest. */
export interface GuestOptions
  extends
    Pick<
      RigOptions,
      | 'start'
      | 'hostRoot'
      | 'shares'
      | 'hide'
      | 'reveal'
      | 'memoryMiB'
      | 'memoryLayout'
      | 'cpus'
      | 'cpu'
      | 'hugepages'
      | 'iommu'
      | 'observe'
      | 'checkDma'
      | 'suppressRaces'
      | 'slots'
      | 'kernelAppend'
      | 'accel'
      | 'extraQemuArgs'
      | 'bootTimeoutMs'
      | 'notices'
    >,
    SoftwareChoice {}

/** A guest with its cards, and messages about them. */
export interface Hosted {
  readonly rig: Rig;
  /** Lines: refused requests, restarted cards, stalled drivers. */
  readonly notes: readonly string[];
}

/** Free slots that a shared guest must have for another test: a slot is used only once. */
const ENOUGH_SLOTS = 4;

export class GuestSource {
  #shared: Hosted | undefined;
  #isLent = false;
  /** Starts in progress: a test that has timed out does not wait for its own. */
  readonly #starting = new Set<Promise<unknown>>();

  constructor(
    private readonly scope: 'test' | 'file',
    private readonly options: GuestOptions,
  ) {}

  /** Whether the next test uses the same guest, which must then be left as it was found. */
  get isShared(): boolean {
    return this.scope === 'file';
  }

  /** Aborting `signal` ends the start and leaves nothing behind. It has no effect after the start. */
  async take(signal: AbortSignal): Promise<Hosted> {
    if (!this.isShared) return this.#start(signal);
    if (this.#isLent) {
      throw new Error(
        "tests that share a guest (scope: 'file') run one after the other, but two of them are running: do not use test.concurrent",
      );
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

async function start(options: GuestOptions, signal: AbortSignal): Promise<Hosted> {
  const starting = new AbortController();
  const abort = (): void => starting.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    const provisioned = await provisionOnce(options);
    const notes: string[] = [];
    const onCardEvent = (card: string, message: string): void => {
      // Connections are in the card's trace, and a model error is an error of the test.
      if (!/^(client (dis)?connected|the device failed)/.test(message)) notes.push(`${card}: ${message}`);
    };
    const { arch: _arch, kernel: _kernel, kernelRelease: _release, ...machine } = options;
    const rig = await Rig.start({ ...machine, provisioned, signal: starting.signal, onCardEvent });
    if (!signal.aborted) return { rig, notes };
    await rig.close();
    throw signal.reason as Error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
