/** The timeline: lanes on a canvas, their names beside it, a ruler above. */
import { type App, firstAfter } from './app';
import { Axis } from './axis';
import { byId, fitCanvas, type Palette } from './dom';
import { duration } from './format';
import { LaneNames } from './lane-names';
import { firstFrom } from './model';
import { LANE_PADDING_PX, laneHeight, LanePainter } from './painter';
import { Pointer } from './pointer';

const MOST_LINKS = 64;

export class Timeline {
  readonly #scroller = byId('lanes');
  readonly #content = byId('lanes-content');
  readonly #gutter = byId('gutter');
  readonly #names: LaneNames;
  readonly #axis: Axis;
  readonly #pointer: Pointer;
  readonly #canvas = byId<HTMLCanvasElement>('canvas');
  readonly #ruler = byId<HTMLCanvasElement>('ruler');
  readonly #cursor = byId('cursor');
  #tops: readonly number[] = [];
  #height = 1;
  #isDirty = true;

  constructor(
    private readonly app: App,
    private readonly palette: Palette,
  ) {
    this.#names = new LaneNames(app, this.#gutter);
    this.#axis = new Axis(app);
    this.#pointer = new Pointer(
      app,
      this.#axis,
      () => this.#tops,
      () => this.#drawPointer(),
    );
    app.onChange((changes) => {
      if (changes.has('lanes')) this.#layOut();
      if (changes.has('selection')) this.#revealLane();
      this.#draw();
    });
    new ResizeObserver(() => this.#measure()).observe(this.#scroller);
    this.#scroller.addEventListener('scroll', () => this.#later());
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
        return { x: this.#axis.xOf(this.app.positions[event]!), y: y + row.heightPx / 2 - 1 };
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

  #layOut(): void {
    this.#tops = this.#names.show();
    this.#content.style.height = `${this.#names.heightPx}px`;
  }

  #measure(): void {
    this.#axis.widthPx = Math.max(1, this.#scroller.clientWidth - this.#gutter.offsetWidth);
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
    const g = fitCanvas(this.#canvas, this.#axis.widthPx, this.#height);
    const painter = new LanePainter(g, this.palette, this.app, this.#axis.widthPx);
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
      g.fillRect(0, Math.round(top + height) - 1, this.#axis.widthPx, 1);
      painter.paint(lane, top);
    }
    this.#drawSelection(g);
    this.#canvas.dataset.marks = String(painter.marks);
    this.#canvas.dataset.view = `${this.app.viewport.view.from} ${this.app.viewport.view.to}`;
    this.#drawRuler();
    this.#drawPointer();
  }

  #drawTicks(g: CanvasRenderingContext2D): void {
    g.fillStyle = this.palette.get('grid');
    for (const at of this.#axis.ticks().positions) g.fillRect(Math.round(this.#axis.xOf(at)), 0, 1, this.#height);
  }

  #drawRuler(): void {
    const height = this.#ruler.parentElement!.clientHeight;
    const g = fitCanvas(this.#ruler, this.#axis.widthPx, height);
    g.font = this.palette.get('canvas-font');
    const { step, positions } = this.#axis.ticks();
    for (const at of positions) {
      const x = Math.round(this.#axis.xOf(at));
      g.fillStyle = this.palette.get('text-3');
      g.fillRect(x, height - 6, 1, 6);
      g.fillStyle = this.palette.get('text-2');
      g.fillText(this.#axis.label(at, step), x + 4, height - 9);
    }
    this.#drawHits(g, height);
    this.#drawRange(g);
  }

  #drawHits(g: CanvasRenderingContext2D, height: number): void {
    const { hits, positions, viewport } = this.app;
    g.fillStyle = this.palette.get('hit');
    let lastX = -1;
    for (let i = firstFrom(hits, positions, viewport.view.from); i < hits.length; i++) {
      const x = Math.floor(this.#axis.xOf(positions[hits[i]!]!));
      if (x > this.#axis.widthPx) break;
      if (x !== lastX) g.fillRect(x - 1, height - 5, 3, 5);
      lastX = x;
    }
  }

  #drawRange(g: CanvasRenderingContext2D): void {
    const { range } = this.app;
    if (!range) return;
    g.fillStyle = this.palette.get('range');
    g.fillRect(this.#axis.xOf(range.from), 0, this.#axis.xOf(range.to) - this.#axis.xOf(range.from), this.#height);
  }

  /** The selected event, what it is an effect of, and what its effects are. */
  #drawSelection(g: CanvasRenderingContext2D): void {
    const { selected, model, positions } = this.app;
    if (selected < 0) return;
    const accent = this.palette.get('accent');
    const x = this.#axis.xOf(positions[selected]!);
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
    if (this.#pointer.x !== undefined)
      parts.push(this.#axis.label(this.#axis.positionAt(this.#pointer.x), this.#axis.unitsPerPixel));
    if (range) {
      const length = range.to - range.from;
      parts.push(`Δ ${axis === 'order' ? `${Math.round(length)} events` : duration(length)}`);
    }
    this.#cursor.textContent = parts.join('   ');
  }
}
