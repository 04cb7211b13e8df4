/** Repetitions in a stream: what a driver that polls leaves behind, one register or a few in turn, said once. */

/** The longest sequence whose repetition is noticed. */
const LONGEST = 4;

export interface RepeatListener<T> {
  /** To be shown. */
  item(item: T): void;
  /** The last `length` items came again as they are, so many times more; `last` is the last of them. */
  repeated(length: number, times: number, last: T): void;
}

export class RepeatFolder<T> {
  /** The last items, with what makes two of them equal; the newest at the end. */
  readonly #recent: { key: string; item: T }[] = [];
  /** The beginning of a repetition that is not complete. */
  #held: { key: string; item: T }[] = [];
  /** How many items are being repeated, 0: none. */
  #length = 0;
  #times = 0;
  #last: T | undefined;

  constructor(private readonly listener: RepeatListener<T>) {}

  /** `key` is equal for items that are shown as one. */
  take(item: T, key: string): void {
    if (this.#length > 0) {
      if (this.#expected === key) return this.#hold(item, key);
      this.end();
    }
    this.#length = this.#lengthFrom(key);
    if (this.#length > 0) this.#hold(item, key);
    else this.#show({ key, item });
  }

  /** Something else comes in between: what follows repeats nothing of what was before. */
  interrupt(): void {
    this.end();
    this.#recent.length = 0;
  }

  /** Nothing more comes, or not soon. */
  end(): void {
    if (this.#times > 0) this.listener.repeated(this.#length, this.#times, this.#last!);
    const held = this.#held;
    [this.#held, this.#length, this.#times] = [[], 0, 0];
    for (const one of held) this.#show(one);
  }

  get #expected(): string {
    return this.#recent[this.#recent.length - this.#length + this.#held.length]!.key;
  }

  /** The shortest sequence at the end of what was shown that begins with `key`. */
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
