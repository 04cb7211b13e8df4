/**
 * The PCIe link as a resource that transfers share: bytes take time, one direction at a time is used by one transfer,
 * and each completion comes a latency later. Unlimited by default: a transfer then takes no device time at all.
 */
import { type Clock } from '../clock';

/** How fast a link is. */
export interface LinkModel {
  /** Payload bytes a second, each direction by itself. Infinity: no limit. */
  readonly bytesPerSecond: number;
  /** From the last byte to the completion of the descriptor, in nanoseconds; a channel waits it out each time. */
  readonly completionLatencyNs: number;
}

/** A link on which a transfer takes no device time. */
export const unlimitedLink: LinkModel = { bytesPerSecond: Infinity, completionLatencyNs: 0 };

/** The PCIe link as a resource that transfers share: bytes take time, and completions come a latency later. */
export class Link {
  readonly #busyUntilNs = { h2c: 0, c2h: 0 };

  constructor(
    private readonly clock: Clock,
    private readonly model: LinkModel,
  ) {
    if (!(model.bytesPerSecond > 0)) {
      throw new RangeError(`link: bytesPerSecond is ${model.bytesPerSecond}; it must be above 0 (Infinity: no limit)`);
    }
    if (!(model.completionLatencyNs >= 0)) {
      throw new RangeError(`link: completionLatencyNs is ${model.completionLatencyNs}; it must be 0 or more`);
    }
  }

  /** Takes the link for `bytes` and returns how long from now until the last has passed, in nanoseconds. */
  occupy(direction: 'h2c' | 'c2h', bytes: number): number {
    if (this.model.bytesPerSecond === Infinity) return 0;
    const nowNs = this.clock.now();
    const startNs = Math.max(nowNs, this.#busyUntilNs[direction]);
    this.#busyUntilNs[direction] = startNs + (bytes * 1e9) / this.model.bytesPerSecond;
    return this.#busyUntilNs[direction] - nowNs;
  }

  /** Discards what was in flight. */
  reset(): void {
    this.#busyUntilNs.h2c = this.#busyUntilNs.c2h = 0;
  }

  get completionLatencyNs(): number {
    return this.model.completionLatencyNs;
  }
}
