/**
 * A real headless browser for tests of pages, driven through Chrome's DevTools protocol over a pipe, with real input and
 * screenshots. However the test ends, the kernel kills the browser, and a guard removes its profile
 * (qemu/launch/guard.c).
 *
 * Source: the DevTools protocol (Browser, Target, Page, Runtime, Input, Network, Log); --remote-debugging-pipe: messages
 * in JSON, each ended by a NUL, from descriptor 4 and to descriptor 3.
 */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { type Readable, type Writable } from 'node:stream';
import { guardedCommand } from '../../qemu/launch/guard';
import { RunFolder } from '../../qemu/launch/run-folder';
import { within } from '../../qemu/launch/within';
import { type ProvisionedBrowser } from './packages/browser';

const TIMEOUT_MS = 20_000;

// The answers of the protocol are checked where they are used.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Answer = any;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Answer;
  readonly result?: Answer;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

export class Browser implements AsyncDisposable {
  readonly events = new EventEmitter();
  #nextId = 1;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #partial = '';

  private constructor(
    private readonly folder: RunFolder,
    private readonly child: ReturnType<typeof spawn>,
  ) {
    this.events.setMaxListeners(0);
    const output = child.stdio[4] as Readable;
    output.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    (child.stdio[3] as Writable).on('error', () => {}); // it has ended; pending requests are rejected below
    child.once('exit', () => {
      for (const answer of this.#waiting.values()) answer({ error: { message: 'it has ended' } });
      this.#waiting.clear();
    });
  }

  static async start({ command, env }: ProvisionedBrowser): Promise<Browser> {
    const folder = await RunFolder.create();
    const flags = [
      ...['--remote-debugging-pipe', `--user-data-dir=${folder.path}/profile`, '--no-sandbox', '--disable-gpu'],
      ...['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--disable-dev-shm-usage', '--hide-scrollbars', '--force-color-profile=srgb', '--disable-breakpad'],
      ...['--disable-crash-reporter', '--no-zygote', '--font-render-hinting=none', '--disable-extensions'],
    ];
    const [program, args] = guardedCommand([command, ...flags]);
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env, HOME: folder.path, XDG_CACHE_HOME: folder.path, TMPDIR: folder.path },
    });
    const browser = new Browser(folder, child);
    try {
      await browser.send('Browser.getVersion');
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** An empty page of this size. */
  async page(width: number, height: number): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', width, height });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId as string);
    await page.prepare(width, height);
    return page;
  }

  async send(method: string, params: object = {}, sessionId?: string): Promise<Answer> {
    const id = this.#nextId++;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    if (this.#hasEnded) throw new Error(`The browser had ended before ${method} was sent.`);
    (this.child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { error, result } = await within(answer, { what: `the browser to answer ${method}`, timeoutMs: TIMEOUT_MS });
    if (error) throw new Error(`${method} of the browser has failed: ${error.message}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await within(ended, { what: 'the browser to end', timeoutMs: TIMEOUT_MS });
    }
    await this.folder.close();
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  #take(text: string): void {
    const messages = (this.#partial + text).split('\0');
    this.#partial = messages.pop()!;
    for (const each of messages) {
      const message = JSON.parse(each) as Message;
      if (message.id !== undefined) {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      } else {
        this.events.emit(`${message.sessionId} ${message.method}`, message.params);
      }
    }
  }
}

export class Page {
  /** Addresses that the page has requested, its own included. */
  readonly requests: string[] = [];
  /** Errors and warnings on the page's console, and uncaught exceptions. */
  readonly errors: string[] = [];

  constructor(
    private readonly browser: Browser,
    private readonly session: string,
  ) {}

  async prepare(width: number, height: number): Promise<void> {
    this.#on('Network.requestWillBeSent', ({ request }) => this.requests.push(request.url));
    this.#on('Runtime.exceptionThrown', ({ exceptionDetails: { text, exception } }) =>
      this.errors.push(exception?.description ?? text),
    );
    this.#on('Log.entryAdded', ({ entry }) => this.errors.push(entry.text));
    this.#on('Runtime.consoleAPICalled', ({ args }) =>
      this.errors.push(args.map(({ value }: { value: unknown }) => String(value)).join(' ')),
    );
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.#send(`${domain}.enable`);
    await this.#send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    await this.#send('Network.emulateNetworkConditions', {
      ...{ offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 },
    });
  }

  /** The preference of the user's system. */
  async prefer(scheme: 'dark' | 'light'): Promise<void> {
    await this.#send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  async open(url: string): Promise<void> {
    const loaded = new Promise((resolve) => this.#once('Page.loadEventFired', resolve));
    const { errorText } = await this.#send('Page.navigate', { url });
    if (errorText) throw new Error(`The browser cannot open ${url}: ${errorText}`);
    await within(loaded, { what: `${url} to load`, timeoutMs: TIMEOUT_MS });
  }

  /** The value of an expression, which may be a promise. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value as T;
  }

  /** Waits for an expression to be true, which is evaluated with every frame. */
  async until(expression: string): Promise<void> {
    const look = `new Promise((resolve) => {
      const look = () => ((${expression}) ? resolve(true) : requestAnimationFrame(look));
      look();
    })`;
    await within(this.evaluate(look), { what: `the page to have: ${expression}`, timeoutMs: TIMEOUT_MS });
  }

  /** Waits until changes are drawn. */
  async drawn(): Promise<void> {
    await this.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))');
  }

  /** The centre of an element on the page. */
  async place(selector: string): Promise<{ x: number; y: number; width: number; height: number }> {
    return await this.evaluate(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      if (!element) throw new Error('there is no ' + ${JSON.stringify(selector)});
      const { left, top, width, height } = element.getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2, width, height };
    })()`);
  }

  async click(selector: string, modifiers = 0): Promise<void> {
    const { x, y } = await this.place(selector);
    await this.clickAt(x, y, modifiers);
  }

  async clickAt(x: number, y: number, modifiers = 0): Promise<void> {
    await this.#mouse('mouseMoved', x, y, modifiers);
    await this.#mouse('mousePressed', x, y, modifiers);
    await this.#mouse('mouseReleased', x, y, modifiers);
    await this.drawn();
  }

  async moveTo(x: number, y: number): Promise<void> {
    await this.#send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y });
    await this.drawn();
  }

  async drag(from: [x: number, y: number], to: [x: number, y: number], modifiers = 0): Promise<void> {
    await this.#mouse('mouseMoved', ...from, modifiers);
    await this.#mouse('mousePressed', ...from, modifiers);
    for (const share of [0.3, 0.7, 1]) {
      const [x, y] = [0, 1].map((i) => from[i]! + (to[i]! - from[i]!) * share) as [number, number];
      await this.#mouse('mouseMoved', x, y, modifiers);
    }
    await this.#mouse('mouseReleased', ...to, modifiers);
    await this.drawn();
  }

  async wheel(x: number, y: number, deltaY: number, modifiers = 0): Promise<void> {
    await this.#send('Input.dispatchMouseEvent', { type: 'mouseWheel', x, y, deltaX: 0, deltaY, modifiers });
    await this.drawn();
  }

  /** A key by its name ('Enter', 'ArrowDown'), or a character. */
  async press(key: string): Promise<void> {
    const codes: Record<string, number> = {
      Enter: 13,
      Escape: 27,
      PageDown: 34,
      End: 35,
      Home: 36,
      ArrowUp: 38,
      ArrowDown: 40,
    };
    const text = key.length === 1 ? { text: key } : key === 'Enter' ? { text: '\r' } : {};
    const windowsVirtualKeyCode = codes[key] ?? key.toUpperCase().charCodeAt(0);
    await this.#send('Input.dispatchKeyEvent', { type: 'keyDown', key, windowsVirtualKeyCode, ...text });
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', key, windowsVirtualKeyCode });
    await this.drawn();
  }

  /** Types into the focused element. */
  async type(text: string): Promise<void> {
    await this.#send('Input.insertText', { text });
    await this.drawn();
  }

  /** A screenshot as a PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.#send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data as string, 'base64');
  }

  async #mouse(type: string, x: number, y: number, modifiers: number): Promise<void> {
    const button = { button: 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1 };
    const moves = type === 'mouseMoved';
    // A move between press and release has the pressed button.
    await this.#send('Input.dispatchMouseEvent', { type, x, y, modifiers, ...(moves && !this.#isHeld ? {} : button) });
    if (!moves) this.#isHeld = type === 'mousePressed';
  }
  #isHeld = false;

  #send(method: string, params: object = {}): Promise<Answer> {
    return this.browser.send(method, params, this.session);
  }

  #on(method: string, listener: (params: Answer) => void): void {
    this.browser.events.on(`${this.session} ${method}`, listener);
  }

  #once(method: string, listener: (params: Answer) => void): void {
    this.browser.events.once(`${this.session} ${method}`, listener);
  }
}
