/** The stretch of the axis that is in view. */

export interface View {
  readonly from: number;
  readonly to: number;
}

/** The closest zoom, in units of the axis: nanoseconds, or events. */
const SHORTEST = 4;

export class Viewport {
  #whole: View;
  #view: View;

  constructor(whole: View) {
    this.#whole = whole;
    this.#view = whole;
  }

  get whole(): View {
    return this.#whole;
  }

  get view(): View {
    return this.#view;
  }

  get length(): number {
    return this.#view.to - this.#view.from;
  }

  get isWhole(): boolean {
    return this.#view.from === this.#whole.from && this.#view.to === this.#whole.to;
  }

  /** Another axis. */
  reset(whole: View): void {
    this.#whole = whole;
    this.#view = whole;
  }

  fit(): void {
    this.#view = this.#whole;
  }

  /** `factor` below 1 looks closer; what is at `around` stays where it is. */
  zoom(factor: number, around = (this.#view.from + this.#view.to) / 2): void {
    const { from, to } = this.#view;
    const length = this.#clampLength((to - from) * factor);
    const share = (around - from) / (to - from);
    this.#place(around - share * length, length);
  }

  pan(by: number): void {
    this.#place(this.#view.from + by, this.length);
  }

  center(on: number): void {
    this.#place(on - this.length / 2, this.length);
  }

  /** Shows a stretch, with a little room on both sides. */
  show(from: number, to: number): void {
    const length = this.#clampLength((to - from) * 1.1);
    this.#place((from + to) / 2 - length / 2, length);
  }

  set(from: number, to: number): void {
    this.#place(Math.min(from, to), this.#clampLength(Math.abs(to - from)));
  }

  /** False when the position is well in view already. */
  reveal(position: number): boolean {
    const { from, to } = this.#view;
    const margin = (to - from) * 0.05;
    if (position >= from + margin && position <= to - margin) return false;
    this.#place(position - (to - from) / 2, to - from);
    return true;
  }

  #clampLength(length: number): number {
    return Math.max(SHORTEST, Math.min(this.#whole.to - this.#whole.from, length));
  }

  #place(from: number, length: number): void {
    const { from: first, to: last } = this.#whole;
    const start = Math.max(first, Math.min(last - length, from));
    this.#view = length >= last - first ? this.#whole : { from: start, to: start + length };
  }
}
