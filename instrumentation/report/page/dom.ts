/** Making elements. Text is only ever set as text: what comes from a trace may be anything. */

type Child = Node | string | false | undefined;
type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: never) => void)>>;

/** `h('button', { class: 'x', onclick: f }, 'Text')`: functions are listeners, `false` leaves an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== false && child !== undefined));
  return element;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Colours and fonts as the style sheet has them, for canvases. */
export class Palette {
  readonly #style = getComputedStyle(document.documentElement);
  readonly #known = new Map<string, string>();

  /** Value of `--name`. */
  get(name: string): string {
    let value = this.#known.get(name);
    if (value === undefined) this.#known.set(name, (value = this.#style.getPropertyValue(`--${name}`).trim()));
    return value;
  }

  /** The style sheet has changed over to other colours. */
  forget(): void {
    this.#known.clear();
  }
}

/** Makes the canvas as large as its box, in pixels of the screen; drawing goes on in CSS pixels. */
export function fitCanvas(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d')!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
