/** The timeline: lanes on a canvas, their names beside it, a ruler above; and what mouse and wheel do there. */
import { type App, firstAfter } from './app';
import { byId, fitCanvas, h, type Palette } from './dom';
import { duration, timeLabel } from './format';
import { LaneNames } from './lane-names';
import { firstFrom, type Lane } from './model';
import { LANE_PADDING_PX, laneHeight, LanePainter } from './painter';

const NEAR_PX = 6;
const DRAG_PX = 4;
const TICK_ROOM_PX = 120;
const MOST_LINKS = 64;

/** Where the pointer is, in the lanes. */
interface Spot {
  readonly lane: Lane;
  readonly event: number;
  /** Events that share its column of pixels. */
  readonly together: readonly number[];
}

export class Timeline {
  readonly #scroller = byId('lanes');
  readonly #content = byId('lanes-content');
  readonly #gutter = byId('gutter');
  readonly #names: LaneNames;
  readonly #canvas = byId<HTMLCanvasElement>('canvas');
  readonly #ruler = byId<HTMLCanvasElement>('ruler');
  readonly #tooltip = byId('tooltip');
  readonly #cursor = byId('cursor');
  #tops: readonly number[] = [];
  #width = 1;
  #height = 1;
  #pointerX: number | undefined;
  #isDirty = true;

  constructor(
    private readonly app: App,
    private readonly palette: Palette,
  ) {
    this.#names = new LaneNames(app, this.#gutter);
    app.onChange((changes) => {
      if (changes.has('lanes')) this.#layOut();
      if (changes.has('selection')) this.#revealLane();
      this.#draw();
    });
    new ResizeObserver(() => this.#measure()).observe(this.#scroller);
    this.#scroller.addEventListener('scroll', () => this.#later());
    this.#listen();
    this.#layOut();
    this.#measure();
  }

  /** Seen from the page: where an event is drawn, if its lane is shown. */
  placeOf(event: number): { x: number; y: number } | undefined {
    const { model, lanes } = this.app;
    const { columns } = model;
    const head = model.head.lanes[columns.lane[event]!]!;
    const at = lanes.findIndex((lane) => lane.register === undefined && lane.head === head);
    if (at < 0) return undefined;
    let y = this.#tops[at]! + LANE_PADDING_PX - this.#scroller.scrollTop;
    for (const row of lanes[at]!.rows) {
      if (row.events[firstAfter(row.events, event)] === event) {
        const x = (this.app.positions[event]! - this.app.viewport.view.from) / this.#unitsPerPixel;
        return { x, y: y + row.heightPx / 2 - 1 };
      }
      y += row.heightPx;
    }
    return undefined;
  }

  /** Scrolls to the lane of the selected event, if it is out of sight. */
  #revealLane(): void {
    const y = this.app.selected < 0 ? undefined : this.placeOf(this.app.selected)?.y;
    if (y === undefined || (y >= 0 && y <= this.#height - 12)) return;
    this.#scroller.scrollTop += y - this.#height / 2;
  }

  get #unitsPerPixel(): number {
    return this.app.viewport.length / this.#width;
  }

  #layOut(): void {
    this.#tops = this.#names.show();
    this.#content.style.height = `${this.#names.heightPx}px`;
  }

  #measure(): void {
    this.#width = Math.max(1, this.#scroller.clientWidth - this.#gutter.offsetWidth);
    this.#height = Math.max(1, this.#scroller.clientHeight);
    this.#later();
  }

  #later(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#isDirty = false;
    const g = fitCanvas(this.#canvas, this.#width, this.#height);
    const painter = new LanePainter(g, this.palette, this.app, this.#width);
    const { lanes } = this.app;
    const scrolled = this.#scroller.scrollTop;
    this.#drawTicks(g);
    for (const lane of lanes) if (lane.style === 'marks') painter.paintMarkLines(lane, this.#height);
    this.#drawRange(g);
    for (const [i, lane] of lanes.entries()) {
      const top = this.#tops[i]! - scrolled;
      const height = laneHeight(lane);
      if (top + height < 0 || top > this.#height) continue;
      g.fillStyle = this.palette.get('line');
      g.fillRect(0, Math.round(top + height) - 1, this.#width, 1);
      painter.paint(lane, top);
    }
    this.#drawSelection(g);
    this.#canvas.dataset.marks = String(painter.marks);
    this.#canvas.dataset.view = `${this.app.viewport.view.from} ${this.app.viewport.view.to}`;
    this.#drawRuler();
    this.#drawPointer();
  }

  /** Ticks of the axis: a round number of units apart. */
  #ticks(): { step: number; positions: number[] } {
    const { from, to } = this.app.viewport.view;
    const least = TICK_ROOM_PX * this.#unitsPerPixel;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = Math.max(1, [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= least) ?? 10 * power);
    const positions: number[] = [];
    // Events are counted from 1.
    const shift = this.app.axis === 'order' ? 1 : 0;
    for (let at = Math.ceil((from + shift) / step) * step; at - shift <= to; at += step) positions.push(at - shift);
    return { step, positions };
  }

  #drawTicks(g: CanvasRenderingContext2D): void {
    g.fillStyle = this.palette.get('grid');
    for (const at of this.#ticks().positions) g.fillRect(Math.round(this.#xOf(at)), 0, 1, this.#height);
  }

  #drawRuler(): void {
    const height = this.#ruler.parentElement!.clientHeight;
    const g = fitCanvas(this.#ruler, this.#width, height);
    g.font = this.palette.get('canvas-font');
    const { step, positions } = this.#ticks();
    for (const at of positions) {
      const x = Math.round(this.#xOf(at));
      g.fillStyle = this.palette.get('text-3');
      g.fillRect(x, height - 6, 1, 6);
      g.fillStyle = this.palette.get('text-2');
      g.fillText(this.#label(at, step), x + 4, height - 9);
    }
    this.#drawHits(g, height);
    this.#drawRange(g);
  }

  #drawHits(g: CanvasRenderingContext2D, height: number): void {
    const { hits, positions, viewport } = this.app;
    g.fillStyle = this.palette.get('hit');
    let lastX = -1;
    for (let i = firstFrom(hits, positions, viewport.view.from); i < hits.length; i++) {
      const x = Math.floor(this.#xOf(positions[hits[i]!]!));
      if (x > this.#width) break;
      if (x !== lastX) g.fillRect(x - 1, height - 5, 3, 5);
      lastX = x;
    }
  }

  #drawRange(g: CanvasRenderingContext2D): void {
    const { range } = this.app;
    if (!range) return;
    g.fillStyle = this.palette.get('range');
    g.fillRect(this.#xOf(range.from), 0, this.#xOf(range.to) - this.#xOf(range.from), this.#height);
  }

  /** The selected event, what it is an effect of, and what its effects are. */
  #drawSelection(g: CanvasRenderingContext2D): void {
    const { selected, model, positions } = this.app;
    if (selected < 0) return;
    const accent = this.palette.get('accent');
    const x = this.#xOf(positions[selected]!);
    g.fillStyle = accent;
    g.globalAlpha = 0.65;
    g.fillRect(Math.floor(x), 0, 1, this.#height);
    const place = this.placeOf(selected);
    const cause = model.columns.cause[selected]!;
    const related = [...(cause < 0 ? [] : [cause]), ...model.effectsOf(selected).subarray(0, MOST_LINKS)];
    g.strokeStyle = accent;
    g.globalAlpha = 0.4;
    for (const other of place ? related : []) {
      const end = this.placeOf(other);
      if (!end) continue;
      g.beginPath();
      g.moveTo(place!.x + 1, place!.y);
      g.bezierCurveTo(place!.x + 24, place!.y, end.x + 24, end.y, end.x + 1, end.y);
      g.stroke();
      g.beginPath();
      g.arc(end.x + 1, end.y, 3, 0, 7);
      g.fill();
    }
    g.globalAlpha = 1;
    if (!place) return;
    g.lineWidth = 2;
    g.beginPath();
    g.arc(place.x + 1, place.y, 5, 0, 7);
    g.stroke();
    g.lineWidth = 1;
  }

  /** The pointer's time, and how long the measured range is. */
  #drawPointer(): void {
    const { range, axis } = this.app;
    const parts: string[] = [];
    if (this.#pointerX !== undefined) parts.push(this.#label(this.#positionAt(this.#pointerX), this.#unitsPerPixel));
    if (range) {
      const length = range.to - range.from;
      parts.push(`Δ ${axis === 'order' ? `${Math.round(length)} events` : duration(length)}`);
    }
    this.#cursor.textContent = parts.join('   ');
  }

  #label(at: number, step: number): string {
    if (this.app.axis === 'order') return `#${Math.max(1, Math.round(at) + 1)}`;
    return timeLabel(at, step, this.app.viewport.view.to);
  }

  #xOf(position: number): number {
    return (position - this.app.viewport.view.from) / this.#unitsPerPixel;
  }

  #positionAt(x: number): number {
    return this.app.viewport.view.from + x * this.#unitsPerPixel;
  }

  #listen(): void {
    const canvas = this.#canvas;
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.#drag(canvas, event, event.shiftKey));
    this.#ruler.addEventListener('pointerdown', (event) => this.#drag(this.#ruler, event, true));
    canvas.addEventListener('pointermove', (event) => this.#hover(event));
    canvas.addEventListener('pointerleave', () => {
      this.#tooltip.hidden = true;
      this.#pointerX = undefined;
      this.#drawPointer();
    });
    canvas.addEventListener('dblclick', (event) => {
      this.app.viewport.zoom(0.25, this.#positionAt(event.offsetX));
      this.app.changed('view');
    });
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const { viewport } = this.app;
    const unit = event.deltaMode === 1 ? 16 : 1;
    const [dx, dy] = event.shiftKey ? [event.deltaY + event.deltaX, 0] : [event.deltaX, event.deltaY];
    if (Math.abs(dx) > Math.abs(dy)) viewport.pan(dx * unit * this.#unitsPerPixel);
    else viewport.zoom(Math.exp(dy * unit * 0.002), this.#positionAt(event.offsetX));
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
        const [a, b] = [this.#positionAt(startX), this.#positionAt(event.offsetX)];
        this.app.range = { from: Math.min(a, b), to: Math.max(a, b) };
        this.app.changed('range');
      } else {
        this.app.viewport.set(view.from, view.to);
        this.app.viewport.pan(-dx * this.#unitsPerPixel);
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
    this.#pointerX = event.offsetX;
    this.#drawPointer();
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
    const { lanes } = this.app;
    const scrolled = y + this.#scroller.scrollTop;
    const at = lanes.findIndex((lane, i) => scrolled < this.#tops[i]! + laneHeight(lane) && scrolled >= this.#tops[i]!);
    const lane = lanes[at];
    if (!lane?.rows[0]) return undefined;
    let top = this.#tops[at]! + LANE_PADDING_PX;
    let row = lane.rows[0];
    for (const each of lane.rows) {
      if (scrolled >= top) row = each;
      top += each.heightPx;
    }
    const { positions } = this.app;
    const { events } = row;
    const isBox = lane.style === 'states' || lane.style === 'values';
    const position = this.#positionAt(x);
    const after = firstFrom(events, positions, position);
    const near = [after - 1, after]
      .filter((i) => i >= 0 && i < events.length)
      .map((i) => ({ i, distance: Math.abs(this.#xOf(positions[events[i]!]!) + 1 - x) }))
      .sort((a, b) => a.distance - b.distance)[0];
    if (!near || (near.distance > NEAR_PX && !isBox)) return undefined;
    const found = isBox && near.distance > NEAR_PX ? after - 1 : near.i;
    if (found < 0) return undefined;
    const pixel = Math.floor(this.#xOf(positions[events[found]!]!));
    const first = firstFrom(events, positions, this.#positionAt(pixel));
    const end = Math.max(found + 1, firstFrom(events, positions, this.#positionAt(pixel + 1)));
    const together = [...events.subarray(Math.min(first, found), end)];
    return { lane, event: isBox ? events[found]! : together[0]!, together };
  }
}
