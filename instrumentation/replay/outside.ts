/** Detects that a card's model uses what no trace can repeat: the time of day, random numbers, Node's timers. */
type Call = (...values: unknown[]) => unknown;

const SOURCES = [
  [Math, 'random', 'Math.random()'],
  [Date, 'now', 'Date.now()'],
  [globalThis, 'setTimeout', 'setTimeout()'],
  [globalThis, 'setInterval', 'setInterval()'],
  [globalThis, 'setImmediate', 'setImmediate()'],
] as unknown as readonly (readonly [holder: Record<string, Call>, name: string, said: string])[];

export class OutsideWorld {
  /** What it has called. */
  readonly asked = new Set<string>();
  readonly #watched = SOURCES.map(([holder, name, said]) => {
    const original = holder[name]!;
    const watching: Call = (...values) => {
      this.asked.add(said);
      return Reflect.apply(original, holder, values);
    };
    return { holder, name, original, watching };
  });

  /** Runs code of the model. */
  watch<T>(run: () => T): T {
    for (const { holder, name, watching } of this.#watched) holder[name] = watching;
    try {
      return run();
    } finally {
      for (const { holder, name, original } of this.#watched) holder[name] = original;
    }
  }
}
