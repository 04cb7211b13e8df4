/** The horizontal axis of the timeline: from positions of events to pixels and back, and the ticks of its ruler. */
import { type App } from './app';
import { timeLabel } from './format';

const TICK_ROOM_PX = 120;

export class Axis {
  widthPx = 1;

  constructor(private readonly app: App) {}

  get unitsPerPixel(): number {
    return this.app.viewport.length / this.widthPx;
  }

  xOf(position: number): number {
    return (position - this.app.viewport.view.from) / this.unitsPerPixel;
  }

  positionAt(x: number): number {
    return this.app.viewport.view.from + x * this.unitsPerPixel;
  }

  /** A round number of units apart. */
  ticks(): { step: number; positions: number[] } {
    const { from, to } = this.app.viewport.view;
    const least = TICK_ROOM_PX * this.unitsPerPixel;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = Math.max(1, [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= least) ?? 10 * power);
    const positions: number[] = [];
    // Events are counted from 1.
    const shift = this.app.axis === 'order' ? 1 : 0;
    for (let at = Math.ceil((from + shift) / step) * step; at - shift <= to; at += step) positions.push(at - shift);
    return { step, positions };
  }

  /** The label of a position, as precise as `step` needs. */
  label(at: number, step: number): string {
    if (this.app.axis === 'order') return `#${Math.max(1, Math.round(at) + 1)}`;
    return timeLabel(at, step, this.app.viewport.view.to);
  }
}
