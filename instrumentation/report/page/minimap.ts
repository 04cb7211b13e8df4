/** The whole trace at a glance, with the part in view on it, which can be dragged. */
import { type App } from './app';
import { byId, fitCanvas, type Palette } from './dom';
import { INKS, type Ink } from './report';

/** Inks that share a line, from top to bottom. */
const LINES: readonly (readonly Ink[])[] = [
  ['read', 'write'],
  ['descriptor', 'data', 'write-back', 'other-dma'],
  ['raised', 'held', 'sent'],
  ['mark', 'fault', 'notice'],
];
const COLORS: readonly Ink[] = ['read', 'data', 'sent', 'mark'];
const EDGE_PX = 6;

export class Minimap {
  readonly #canvas = byId<HTMLCanvasElement>('minimap');
  #density: readonly Uint32Array[] = [];
  #width = 1;
  #height = 1;

  constructor(
    private readonly app: App,
    private readonly palette: Palette,
  ) {
    new ResizeObserver(() => this.#measure()).observe(this.#canvas.parentElement!);
    app.onChange((changes) => {
      if (changes.has('filter') || changes.has('axis')) this.#count();
      this.#draw();
    });
    this.#canvas.addEventListener('pointerdown', (event) => this.#drag(event));
    this.#measure();
  }

  #measure(): void {
    const { clientWidth, clientHeight } = this.#canvas.parentElement!;
    [this.#width, this.#height] = [Math.max(1, clientWidth), clientHeight];
    this.#count();
    this.#draw();
  }

  /** Events in each column of pixels, line by line. */
  #count(): void {
    const { listed, positions, viewport, model } = this.app;
    const lineOf = INKS.map((ink) => LINES.findIndex((inks) => inks.includes(ink)));
    const density = LINES.map(() => new Uint32Array(this.#width));
    const { from, to } = viewport.whole;
    const scale = this.#width / (to - from);
    for (const event of listed) {
      const line = density[lineOf[model.columns.ink[event]!]!];
      if (line) line[Math.floor((positions[event]! - from) * scale)]!++;
    }
    this.#density = density;
  }

  #draw(): void {
    const g = fitCanvas(this.#canvas, this.#width, this.#height);
    const lineHeight = (this.#height - 6) / LINES.length;
    for (const [line, density] of this.#density.entries()) {
      const most = Math.log2(1 + density.reduce((a, b) => Math.max(a, b), 0));
      g.fillStyle = this.palette.get(`ink-${COLORS[line]}`);
      for (const [x, count] of density.entries()) {
        if (count === 0) continue;
        g.globalAlpha = 0.35 + (0.65 * Math.log2(1 + count)) / most;
        g.fillRect(x, 3 + line * lineHeight, 1, lineHeight - 2);
      }
    }
    g.globalAlpha = 1;
    this.#drawHits(g);
    const [x0, x1] = this.#window();
    g.fillStyle = this.palette.get('shade');
    g.fillRect(0, 0, x0, this.#height);
    g.fillRect(x1, 0, this.#width - x1, this.#height);
    g.strokeStyle = this.palette.get('accent');
    g.strokeRect(x0 + 0.5, 0.5, Math.max(2, x1 - x0 - 1), this.#height - 1);
  }

  #drawHits(g: CanvasRenderingContext2D): void {
    const { hits, positions, viewport } = this.app;
    const { from, to } = viewport.whole;
    g.fillStyle = this.palette.get('hit');
    let last = -1;
    for (const hit of hits) {
      const x = Math.floor(((positions[hit]! - from) / (to - from)) * this.#width);
      if (x !== last) g.fillRect(x, this.#height - 4, 2, 4);
      last = x;
    }
  }

  #window(): [number, number] {
    const { whole, view } = this.app.viewport;
    const xOf = (at: number): number => Math.round(((at - whole.from) / (whole.to - whole.from)) * this.#width);
    return [xOf(view.from), Math.max(xOf(view.to), xOf(view.from) + 3)];
  }

  /** The window by its middle, or one of its edges; elsewhere it comes to the pointer. */
  #drag(down: PointerEvent): void {
    this.#canvas.setPointerCapture(down.pointerId);
    const { viewport } = this.app;
    const { whole } = viewport;
    const at = (x: number): number => whole.from + (x / this.#width) * (whole.to - whole.from);
    const [x0, x1] = this.#window();
    const isNear = (edge: number): boolean => Math.abs(down.offsetX - edge) <= EDGE_PX && x1 - x0 > 3 * EDGE_PX;
    const edge = isNear(x0) ? 'from' : isNear(x1) ? 'to' : undefined;
    if (!edge && (down.offsetX < x0 || down.offsetX > x1)) viewport.center(at(down.offsetX));
    const start = viewport.view;
    const move = (event: PointerEvent): void => {
      const by = at(event.offsetX) - at(down.offsetX);
      if (edge === 'from') viewport.set(start.from + by, start.to);
      else if (edge === 'to') viewport.set(start.from, start.to + by);
      else {
        viewport.set(start.from, start.to);
        viewport.pan(by);
      }
      this.app.changed('view');
    };
    const up = (): void => {
      this.#canvas.removeEventListener('pointermove', move);
      this.#canvas.removeEventListener('pointerup', up);
      this.#canvas.removeEventListener('pointercancel', up);
    };
    this.#canvas.addEventListener('pointermove', move);
    this.#canvas.addEventListener('pointerup', up);
    this.#canvas.addEventListener('pointercancel', up);
    this.app.changed('view');
  }
}
