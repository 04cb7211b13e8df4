/**
 * The sinks to which the vectors of one interrupt index are connected. It owns them: each is closed exactly once, when it
 * has been replaced or disconnected and no other vector of the index uses it.
 */
import type { IrqSink } from '../device';

export class IrqSinks {
  readonly #sinks: (IrqSink | undefined)[];

  constructor(count: number) {
    this.#sinks = new Array<IrqSink | undefined>(count).fill(undefined);
  }

  at(vector: number): IrqSink | undefined {
    return this.#sinks[vector];
  }

  /** Connects `sinks` to the vectors from `start` on; an `undefined` among them disconnects its vector. */
  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void {
    const replaced = this.#sinks.slice(start, start + sinks.length);
    sinks.forEach((sink, i) => (this.#sinks[start + i] = sink));
    const inUse = new Set(this.#sinks);
    for (const sink of new Set(replaced)) if (sink && !inUse.has(sink)) sink.close();
  }

  disconnectAll(): void {
    this.connect(0, new Array<undefined>(this.#sinks.length).fill(undefined));
  }
}
