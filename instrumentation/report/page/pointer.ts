/** What mouse and wheel do in the timeline: they zoom, pan and measure, select an event, and show what it is. */
import { type App } from './app';
import { type Axis } from './axis';
import { byId, h } from './dom';
import { firstFrom, type Lane } from './model';
import { LANE_PADDING_PX, laneHeight } from './painter';

const NEAR_PX = 6;
const DRAG_PX = 4;

/** What is at a place of the lanes. */
interface Spot {
  readonly lane: Lane;
  readonly event: number;
  /** Events that share its column of pixels. */
  readonly together: readonly number[];
}

export class Pointer {
  /** Where it is; undefined when it is not over the lanes. */
  x: number | undefined;
  readonly #scroller = byId('lanes');
  readonly #canvas = byId<HTMLCanvasElement>('canvas');
  readonly #ruler = byId<HTMLCanvasElement>('ruler');
  readonly #tooltip = byId('tooltip');

  constructor(
    private readonly app: App,
    private readonly axis: Axis,
    /** Where each lane begins. */
    private readonly tops: () => readonly number[],
    private readonly onMove: () => void,
  ) {
    const canvas = this.#canvas;
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.#drag(canvas, event, event.shiftKey));
    this.#ruler.addEventListener('pointerdown', (event) => this.#drag(this.#ruler, event, true));
    canvas.addEventListener('pointermove', (event) => this.#hover(event));
    canvas.addEventListener('pointerleave', () => {
      this.#tooltip.hidden = true;
      this.x = undefined;
      this.onMove();
    });
    canvas.addEventListener('dblclick', (event) => {
      this.app.viewport.zoom(0.25, this.axis.positionAt(event.offsetX));
      this.app.changed('view');
    });
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const { viewport } = this.app;
    const unit = event.deltaMode === 1 ? 16 : 1;
    const [dx, dy] = event.shiftKey ? [event.deltaY + event.deltaX, 0] : [event.deltaX, event.deltaY];
    if (Math.abs(dx) > Math.abs(dy)) viewport.pan(dx * unit * this.axis.unitsPerPixel);
    else viewport.zoom(Math.exp(dy * unit * 0.002), this.axis.positionAt(event.offsetX));
    this.app.changed('view');
  }

  /** Without moving it is a click. */
  #drag(on: HTMLCanvasElement, down: PointerEvent, measures: boolean): void {
    if (down.button !== 0) return;
    on.setPointerCapture(down.pointerId);
    const [startX, startY] = [down.offsetX, down.offsetY];
    const view = this.app.viewport.view;
    const scrolled = this.#scroller.scrollTop;
    let isDragged = false;
    const move = (event: PointerEvent): void => {
      const dx = event.offsetX - startX;
      isDragged ||= Math.abs(dx) + Math.abs(event.offsetY - startY) > DRAG_PX;
      if (!isDragged) return;
      this.#tooltip.hidden = true;
      if (measures) {
        const [a, b] = [this.axis.positionAt(startX), this.axis.positionAt(event.offsetX)];
        this.app.range = { from: Math.min(a, b), to: Math.max(a, b) };
        this.app.changed('range');
      } else {
        this.app.viewport.set(view.from, view.to);
        this.app.viewport.pan(-dx * this.axis.unitsPerPixel);
        this.#scroller.scrollTop = scrolled - (event.offsetY - startY);
        this.app.changed('view');
      }
    };
    const up = (event: PointerEvent): void => {
      on.removeEventListener('pointermove', move);
      on.removeEventListener('pointerup', up);
      on.removeEventListener('pointercancel', up);
      if (!isDragged && event.type === 'pointerup' && on === this.#canvas) this.#click(event);
    };
    on.addEventListener('pointermove', move);
    on.addEventListener('pointerup', up);
    on.addEventListener('pointercancel', up);
  }

  /** Clicking again goes through what lies in the same place. */
  #click(event: PointerEvent): void {
    const spot = this.#spotAt(event.offsetX, event.offsetY);
    this.app.range = undefined;
    if (!spot) return this.app.select(-1);
    const again = spot.together.indexOf(this.app.selected);
    this.app.select(again < 0 ? spot.event : spot.together[(again + 1) % spot.together.length]!);
  }

  #hover(event: PointerEvent): void {
    this.x = event.offsetX;
    this.onMove();
    const spot = event.buttons === 0 ? this.#spotAt(event.offsetX, event.offsetY) : undefined;
    this.#tooltip.hidden = !spot;
    this.#canvas.classList.toggle('on-event', spot !== undefined);
    if (!spot) return;
    const { model } = this.app;
    const more = spot.together.length - 1;
    this.#tooltip.replaceChildren(
      h('div', {}, model.line(spot.event)),
      h('div', { class: 'faint' }, `#${spot.event + 1}${more > 0 ? `, and ${more} more in this place` : ''}`),
    );
    const { left, top } = this.#canvas.getBoundingClientRect();
    const x = Math.min(left + event.offsetX + 14, window.innerWidth - this.#tooltip.offsetWidth - 8);
    const y = Math.min(top + event.offsetY + 16, window.innerHeight - this.#tooltip.offsetHeight - 8);
    this.#tooltip.style.transform = `translate(${x}px, ${y}px)`;
  }

  #spotAt(x: number, y: number): Spot | undefined {
    const tops = this.tops();
    const { lanes } = this.app;
    const scrolled = y + this.#scroller.scrollTop;
    const at = lanes.findIndex((lane, i) => scrolled < tops[i]! + laneHeight(lane) && scrolled >= tops[i]!);
    const lane = lanes[at];
    if (!lane?.rows[0]) return undefined;
    let top = tops[at]! + LANE_PADDING_PX;
    let row = lane.rows[0];
    for (const each of lane.rows) {
      if (scrolled >= top) row = each;
      top += each.heightPx;
    }
    const { positions } = this.app;
    const { events } = row;
    const isBox = lane.style === 'states' || lane.style === 'values';
    const position = this.axis.positionAt(x);
    const after = firstFrom(events, positions, position);
    const near = [after - 1, after]
      .filter((i) => i >= 0 && i < events.length)
      .map((i) => ({ i, distance: Math.abs(this.axis.xOf(positions[events[i]!]!) + 1 - x) }))
      .sort((a, b) => a.distance - b.distance)[0];
    if (!near || (near.distance > NEAR_PX && !isBox)) return undefined;
    const found = isBox && near.distance > NEAR_PX ? after - 1 : near.i;
    if (found < 0) return undefined;
    const pixel = Math.floor(this.axis.xOf(positions[events[found]!]!));
    const first = firstFrom(events, positions, this.axis.positionAt(pixel));
    const end = Math.max(found + 1, firstFrom(events, positions, this.axis.positionAt(pixel + 1)));
    const together = [...events.subarray(Math.min(first, found), end)];
    return { lane, event: isBox ? events[found]! : together[0]!, together };
  }
}
