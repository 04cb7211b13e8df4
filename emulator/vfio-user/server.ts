/**
 * Serves one device on a UNIX socket, one client after the other. While a client is connected, a second one's connect
 * succeeds but it waits in the socket's backlog, unanswered, until the first has gone.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { loadNative, type Native, type NativeError, type Poller, READABLE, WOULD_BLOCK } from '../native';
import { type Device } from '../device';
import { defaultPieceBytes } from './dma-windows';
import { describeEvent, type ServerEvent } from './events';
import { sharedPollGroup } from './poll-group';
import { Session } from './session';
import { type SpinLimits } from './spin';

export interface ServeOptions {
  readonly socketPath: string;
  /** The device's clock: its due work is done between messages. */
  readonly clock?: { runDue(): boolean };
  readonly onEvent?: (event: ServerEvent) => void;
  /** How long the client may take to answer one DMA message. */
  readonly dmaTimeoutMs?: number;
  /** How long to ask for the next message before the event loop has the thread. */
  readonly spinLimits?: SpinLimits;
  /** The longest piece in which guest memory is mapped. */
  readonly dmaPieceBytes?: number;
  readonly native?: Native;
}

const BACKLOG = 16;
const ACCEPT_RETRY_MS = 100;
/** Faults of the card must not go unseen when nobody listens. */
export const complain = (event: ServerEvent): void => {
  if (event.kind === 'device-error' || event.kind === 'server-error')
    console.error(`ghostcard: ${describeEvent(event)}`);
};

export class VfioUserServer implements AsyncDisposable {
  readonly socketPath: string;
  readonly #native: Native;
  readonly #listener: number;
  readonly #inode: bigint;
  readonly #poller: Poller;
  readonly #onEvent: (event: ServerEvent) => void;
  #session: Session | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly device: Device,
    private readonly options: ServeOptions,
  ) {
    this.socketPath = options.socketPath;
    this.#native = options.native ?? loadNative();
    this.#onEvent = options.onEvent ?? complain;
    this.#listener = listenAt(this.#native, options.socketPath);
    this.#inode = inodeAt(options.socketPath) ?? -1n;
    this.#poller = new this.#native.Poller(this.#listener, () => this.#accept());
    this.#poller.start(READABLE);
  }

  /** Whether a client is connected. */
  get connected(): boolean {
    return this.#session !== undefined;
  }

  /** Serves at once what the client has sent up to now. Not to be called by the device. */
  catchUp(): void {
    this.#session?.catchUp();
  }

  /** Disconnects the client, stops listening and removes the socket. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    try {
      this.#session?.close('the server was closed');
    } catch (error) {
      this.#onEvent({ kind: 'device-error', error }); // the card threw in its reset; the rest is taken down all the same
    }
    this.#poller.close();
    // Only our own socket: someone may have put another in its place.
    if (inodeAt(this.socketPath) === this.#inode) unlinkSync(this.socketPath);
    this.#native.close(this.#listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(): void {
    if (this.#closed || this.#session !== undefined) return;
    try {
      const fd = this.#native.accept(this.#listener);
      if (fd === WOULD_BLOCK) return;
      this.#poller.stop();
      this.#onEvent({ kind: 'connected' });
      this.#session = this.#startSession(fd);
    } catch (error) {
      // Out of descriptors, most likely: the connection stays in the backlog.
      this.#onEvent({ kind: 'server-error', error });
      this.#poller.stop();
      this.#retry = setTimeout(() => this.#poller.start(READABLE), ACCEPT_RETRY_MS);
    }
  }

  #startSession(fd: number): Session {
    const { clock, spinLimits, dmaTimeoutMs, dmaPieceBytes } = this.options;
    try {
      return new Session(fd, this.device, {
        native: this.#native,
        clock: clock ?? { runDue: () => false },
        group: sharedPollGroup,
        spinLimits,
        dmaTimeoutMs: dmaTimeoutMs ?? 5000,
        dmaPieceBytes: dmaPieceBytes ?? defaultPieceBytes,
        onEvent: this.#onEvent,
        onEnd: () => {
          this.#session = undefined;
          if (!this.#closed) this.#poller.start(READABLE);
        },
      });
    } catch (error) {
      this.#native.close(fd);
      throw error;
    }
  }
}

/** Starts serving `device`. Rejects when the path cannot be listened at, for example because another server does. */
export async function serve(device: Device, options: ServeOptions): Promise<VfioUserServer> {
  return new VfioUserServer(device, options);
}

function inodeAt(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Listens at `path`; a socket that a dead server has left there is removed first. */
function listenAt(native: Native, path: string): number {
  try {
    return native.listen(path, BACKLOG);
  } catch (error) {
    if ((error as NativeError).code !== 'EADDRINUSE') throw error;
    if (!lstatSync(path).isSocket()) throw new Error(`Cannot serve at ${path}: there is a file that is no socket`);
    if (isAnswered(native, path)) {
      throw new Error(`Cannot serve at ${path}: another server listens there; stop it, or choose another path`);
    }
    unlinkSync(path);
    return native.listen(path, BACKLOG);
  }
}

function isAnswered(native: Native, path: string): boolean {
  try {
    native.close(native.connect(path));
    return true;
  } catch (error) {
    return (error as NativeError).code !== 'ECONNREFUSED';
  }
}
