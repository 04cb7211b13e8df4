/** Folds repetitions in a stream, such as those of a driver that polls one register, or a few in turn. */

/** The longest sequence whose repetitions are folded. */
const LONGEST = 4;

export interface RepeatListener<T> {
  /** An item to be shown. */
  item(item: T): void;
  /** The last `length` items were repeated so many times; `last` is the last of them. */
  repeated(length: number, times: number, last: T): void;
}

export class RepeatFolder<T> {
  /** The last items, oldest first, with their keys. */
  readonly #recent: { key: string; item: T }[] = [];
  /** The beginning of an incomplete repetition. */
  #held: { key: string; item: T }[] = [];
  /** How many items are being repeated. */
  #length = 0;
  #times = 0;
  #last: T | undefined;

  constructor(private readonly listener: RepeatListener<T>) {}

  /** Items with the same `key` count as the same. */
  take(item: T, key: string): void {
    if (this.#length > 0) {
      if (this.#expected === key) return this.#hold(item, key);
      this.end();
    }
    this.#length = this.#lengthFrom(key);
    if (this.#length > 0) this.#hold(item, key);
    else this.#show({ key, item });
  }

  /** Something else happened: what follows does not repeat what was before. */
  interrupt(): void {
    this.end();
    this.#recent.length = 0;
  }

  /** Reports what is pending: nothing more comes, or not soon. */
  end(): void {
    if (this.#times > 0) this.listener.repeated(this.#length, this.#times, this.#last!);
    const held = this.#held;
    [this.#held, this.#length, this.#times] = [[], 0, 0];
    for (const one of held) this.#show(one);
  }

  get #expected(): string {
    return this.#recent[this.#recent.length - this.#length + this.#held.length]!.key;
  }

  /** The length of the shortest sequence at the end of the shown items that begins with `key`; 0: there is none. */
  #lengthFrom(key: string): number {
    for (let length = 1; length <= this.#recent.length; length++) {
      if (this.#recent[this.#recent.length - length]!.key === key) return length;
    }
    return 0;
  }

  #hold(item: T, key: string): void {
    this.#held.push({ key, item });
    if (this.#held.length < this.#length) return;
    this.#held = [];
    this.#times++;
    this.#last = item;
  }

  #show(one: { key: string; item: T }): void {
    this.#recent.push(one);
    if (this.#recent.length > LONGEST) this.#recent.shift();
    this.listener.item(one.item);
  }
}
