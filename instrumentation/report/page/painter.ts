/**
 * Draws lanes. However many events there are, a line of a lane takes at most one mark for each column of pixels: from one
 * column to the next it goes by binary search.
 */
import { type App } from './app';
import { type Palette } from './dom';
import { bytes } from './format';
import { firstFrom, type Lane, type Row } from './model';

export const LANE_PADDING_PX = 4;
/** Of the canvas's monospaced font. */
const CHARACTER_PX = 6.05;
const LABEL_ROOM_PX = 34;
/** From here on, of several events in one place the first is named. */
const LONG_LABEL_ROOM_PX = 110;

const HEADING_PX = 24;

export const laneHeight = ({ rows, style }: Lane): number =>
  style === 'heading' ? HEADING_PX : rows.reduce((sum, { heightPx }) => sum + heightPx, 2 * LANE_PADDING_PX);

export class LanePainter {
  /** Marks drawn: the work of one picture. */
  marks = 0;
  readonly #positions: Float64Array;
  readonly #from: number;
  readonly #scale: number;
  readonly #mostBytes: number;

  constructor(
    private readonly g: CanvasRenderingContext2D,
    private readonly palette: Palette,
    private readonly app: App,
    private readonly width: number,
  ) {
    const { from, to } = app.viewport.view;
    this.#positions = app.positions;
    this.#from = from;
    this.#scale = width / (to - from);
    this.#mostBytes = app.model.mostBytes;
    g.font = palette.get('canvas-font');
    g.textBaseline = 'middle';
  }

  x(event: number): number {
    return (this.#positions[event]! - this.#from) * this.#scale;
  }

  paint(lane: Lane, top: number): void {
    let y = top + LANE_PADDING_PX;
    for (const row of lane.rows) {
      if (lane.style === 'states' || lane.style === 'values') this.#paintBoxes(lane, row, y);
      else if (lane.style === 'marks') this.#paintFlags(row, y);
      else this.#paintPoints(lane, row, y);
      y += row.heightPx;
    }
  }

  /** Thin lines through all lanes, so that what happened at a mark can be read off. */
  paintMarkLines(lane: Lane, height: number): void {
    for (const row of lane.rows) {
      this.g.fillStyle = this.#color(row);
      this.g.globalAlpha = 0.22;
      this.#eachColumn(row.events, (x) => this.g.fillRect(x, 0, 1, height));
    }
    this.g.globalAlpha = 1;
  }

  #paintPoints(lane: Lane, row: Row, top: number): void {
    const { g } = this;
    const height = row.heightPx - 2;
    const color = this.#color(row);
    this.#paintSpans(row, top, height);
    this.#eachColumn(row.events, (x, first, end, nextX) => {
      const { columns } = this.app.model;
      let [failed, mostBytes] = [false, 0];
      for (let i = first; i < end; i++) {
        const event = row.events[i]!;
        failed ||= columns.failed[event] === 1;
        mostBytes = Math.max(mostBytes, columns.sizeBytes[event]!);
      }
      const room = nextX - x;
      const share = lane.style === 'sizes' && row.ink === 'data' ? this.#shareOf(mostBytes) : 1;
      const barHeight = Math.max(3, Math.round(height * share));
      g.fillStyle = failed ? this.palette.get('ink-fault') : color;
      // Where columns touch, they are the fuller the more there is in them.
      if (room <= 2 && !failed) g.globalAlpha = Math.min(1, 0.55 + 0.08 * Math.log2(end - first));
      g.fillRect(x, top + height - barHeight, room > 5 ? 3 : room > 2 ? 2 : 1, barHeight);
      g.globalAlpha = 1;
      if (room > LABEL_ROOM_PX) {
        const event = row.events[first]!;
        const said = this.#labelOf(lane, event, failed);
        const others = end - first - 1;
        const isShort = others > 0 && (room < LONG_LABEL_ROOM_PX || said === '');
        const label = isShort ? `×${others + 1}` : others > 0 ? `${said} +${others}` : said;
        this.#text(label, x + 8, top + height / 2 + 0.5, room - 10, failed ? 'ink-fault' : 'text-2');
      }
    });
  }

  /** What takes time: a line that is driven, an interrupt that is held. */
  #paintSpans(row: Row, top: number, height: number): void {
    const { ends, events } = row;
    if (!ends) return;
    const { g } = this;
    g.fillStyle = this.#color(row);
    g.globalAlpha = 0.22;
    const before = firstFrom(events, this.#positions, this.#from) - 1;
    const span = (i: number): void => {
      const end = ends[i]!;
      if (end === -1) return;
      const from = Math.max(0, this.x(events[i]!));
      const to = Math.min(this.width, end === -2 ? this.width : this.x(end));
      if (to > from) g.fillRect(from, top, to - from, height);
    };
    if (before >= 0) span(before);
    this.#eachColumn(events, (_x, _first, end) => span(end - 1));
    g.globalAlpha = 1;
  }

  /** What holds until the next event of the lane: a state, the value of a register. */
  #paintBoxes(lane: Lane, row: Row, top: number): void {
    const { g } = this;
    const height = row.heightPx - 2;
    const { events } = row;
    const before = firstFrom(events, this.#positions, this.#from) - 1;
    const box = (i: number, from: number, to: number): void => {
      const event = events[i]!;
      const ink = lane.style === 'values' ? `ink-${this.app.model.inkOf(event)}` : stateColor(this.#stateOf(event));
      const isQuiet = ink === 'text-3';
      g.fillStyle = this.palette.get(ink);
      g.globalAlpha = isQuiet ? 0.1 : 0.2;
      g.fillRect(from, top, to - from, height);
      g.globalAlpha = isQuiet ? 0.45 : to - from > 2 ? 1 : 0.6;
      if (from >= 0) g.fillRect(from, top, to - from > 3 ? 2 : 1, height);
      g.fillRect(from, top + height - 1, to - from, 1);
      g.globalAlpha = 1;
      const start = Math.max(0, from);
      if (to - start > LABEL_ROOM_PX) {
        const text = lane.style === 'values' ? this.#valueOf(event) : this.#stateOf(event);
        this.#text(text, start + 6, top + height / 2, to - start - 8, isQuiet ? 'text-3' : 'text-1');
      }
    };
    const [first] = this.#inView(events);
    if (before >= 0) box(before, -1, first === undefined ? this.width : this.x(first));
    this.#eachColumn(events, (x, _first, end, nextX) => box(end - 1, x, Math.min(nextX, this.width + 1)));
  }

  #paintFlags(row: Row, top: number): void {
    const { g } = this;
    const height = row.heightPx - 2;
    const color = this.#color(row);
    this.#eachColumn(row.events, (x, first, end, nextX) => {
      g.fillStyle = color;
      g.fillRect(x, top, 2, height);
      g.beginPath();
      g.moveTo(x + 2, top);
      g.lineTo(x + 9, top + 4);
      g.lineTo(x + 2, top + 8);
      g.fill();
      const room = nextX - x;
      if (room <= LABEL_ROOM_PX) return;
      const { subject, detail } = this.app.model.words(row.events[end - 1]!);
      const text = [subject, detail].filter((part) => part !== '').join(': ') || 'end';
      this.#text(end - first > 1 ? `×${end - first} ${text}` : text, x + 12, top + height / 2, room - 16, 'text-1');
    });
  }

  /** Calls back for each column of pixels that has events: those from index `first` to before `end`. */
  #eachColumn(events: Uint32Array, draw: (x: number, first: number, end: number, nextX: number) => void): void {
    const positions = this.#positions;
    const columnWidth = 1 / this.#scale;
    let first = firstFrom(events, positions, this.#from);
    while (first < events.length) {
      const x = Math.floor((positions[events[first]!]! - this.#from) * this.#scale);
      if (x >= this.width) return;
      const end = Math.max(first + 1, firstFrom(events, positions, this.#from + (x + 1) * columnWidth, first));
      const nextX = end < events.length ? this.x(events[end]!) : this.width;
      draw(x, first, end, Math.max(nextX, x + 1));
      this.marks++;
      first = end;
    }
  }

  #inView(events: Uint32Array): [number?] {
    const first = events[firstFrom(events, this.#positions, this.#from)];
    return first === undefined || this.x(first) > this.width ? [] : [first];
  }

  /** Sizes differ by orders of magnitude. */
  #shareOf(sizeBytes: number): number {
    return Math.min(1, 0.2 + (0.8 * Math.log2(Math.max(1, sizeBytes))) / Math.log2(this.#mostBytes));
  }

  #labelOf({ style, head }: Lane, event: number, failed: boolean): string {
    const { model } = this.app;
    const { subject, detail, what } = model.words(event);
    if (style === 'sizes') return failed ? detail.replace(/^.*: /, '') : bytes(model.columns.sizeBytes[event]!);
    switch (head.group) {
      case 'registers':
      case 'config':
        return `${subject} ${detail}`;
      case 'client':
        return `${what.replace(/^client /, '')} ${subject}`;
      case 'interrupts':
        return model.inkOf(event) === 'held' ? detail : '';
      default:
        return '';
    }
  }

  #valueOf(event: number): string {
    return this.app.model.words(event).detail.replace(/^0x0+(?=[0-9a-f])/, '0x');
  }

  #stateOf(event: number): string {
    return this.app.model.words(event).detail;
  }

  #color({ ink }: Row): string {
    return this.palette.get(`ink-${ink}`);
  }

  #text(text: string, x: number, y: number, room: number, color: string): void {
    const fits = Math.floor(room / CHARACTER_PX);
    if (text === '' || fits < 3) return;
    this.g.fillStyle = this.palette.get(color);
    this.g.fillText(text.length > fits ? `${text.slice(0, fits - 1)}…` : text, x, y);
  }
}

/** States that a reader looks for stand out; rest is quiet. */
function stateColor(state: string): string {
  if (/err|halt|fault|fail/i.test(state)) return 'ink-fault';
  return /^(idle|off|stopped|reset|disabled|none|D3)/i.test(state) ? 'text-3' : 'ink-state';
}
