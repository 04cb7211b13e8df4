/**
 * Serves one device on a UNIX socket, one client at a time. While a client is connected, a second client can connect,
 * but waits in the socket's backlog until the first one has disconnected.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadNative, type Native, type NativeError, type Poller, READABLE, WOULD_BLOCK } from '../native';
import { type Device } from '../device';
import { defaultPieceBytes } from './dma-windows';
import { describeEvent, type ServerEvent } from './events';
import { sharedPollGroup } from './poll-group';
import { Session } from './session';
import { type SpinLimits } from './spin';

export interface ServeOptions {
  readonly socketPath: string;
  /** The device's clock. Its due work runs between messages. */
  readonly clock?: { runDue(): boolean };
  readonly onEvent?: (event: ServerEvent) => void;
  /** Timeout for the client's reply to a DMA message. */
  readonly dmaTimeoutMs?: number;
  /** How long to poll for the next message before returning to the event loop. */
  readonly spinLimits?: SpinLimits;
  /** Size of the largest piece in which guest memory is mapped, in bytes. */
  readonly dmaPieceBytes?: number;
  readonly native?: Native;
}

const BACKLOG = 16;
const ACCEPT_RETRY_MS = 100;
/** The default listener: prints model errors and server errors to standard error. */
export const logErrors = (event: ServerEvent): void => {
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
    this.#onEvent = options.onEvent ?? logErrors;
    this.#listener = listenAt(this.#native, options.socketPath);
    this.#inode = inodeAt(options.socketPath) ?? -1n;
    this.#poller = new this.#native.Poller(this.#listener, () => this.#accept());
    this.#poller.start(READABLE);
  }

  /** Whether a client is connected. */
  get connected(): boolean {
    return this.#session !== undefined;
  }

  /**
   * Serves the messages that the client has sent so far, without waiting for the event loop. Must not be called by the
   * device.
   */
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
      this.#onEvent({ kind: 'device-error', error }); // the card's reset threw; close the rest all the same
    }
    this.#poller.close();
    // Only our own socket: another one may be at the path by now.
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
      if (this.#isStranger(fd)) return;
      this.#poller.stop();
      this.#onEvent({ kind: 'connected' });
      this.#session = this.#startSession(fd);
    } catch (error) {
      // Most likely out of descriptors. The connection stays in the backlog.
      this.#onEvent({ kind: 'server-error', error });
      this.#poller.stop();
      this.#retry = setTimeout(() => this.#poller.start(READABLE), ACCEPT_RETRY_MS);
    }
  }

  /** The socket's mode lets in its owner and root; whoever has changed it, or passes a descriptor on, lets in no others. */
  #isStranger(fd: number): boolean {
    const [peer, own] = [this.#native.peerUser(fd), process.getuid!()];
    if (peer === own || peer === 0) return false;
    this.#native.close(fd);
    const error = new Error(
      `refused a client of user ${peer} at ${this.socketPath}: it could read and write what the card is given, and only ` +
        `user ${own} and root may; run the client as one of them`,
    );
    this.#onEvent({ kind: 'server-error', error });
    return true;
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

/**
 * Starts serving `device`. Rejects if the server cannot listen at the path, for example because another server does.
 */
export async function serve(device: Device, options: ServeOptions): Promise<VfioUserServer> {
  return new VfioUserServer(device, options);
}

function inodeAt(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Listens at `path`. A socket that a dead server has left there is removed first. */
function listenAt(native: Native, path: string): number {
  const refuse = (why: string): never => {
    throw new Error(`Cannot serve at ${path}: ${why}`);
  };
  try {
    return native.listen(path, BACKLOG);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      refuse(`there is no folder ${dirname(path)}; make it, or choose another path`);
    if (NOT_ALLOWED.includes(code)) refuse(`this user cannot make files in that folder (${code}); choose another one`);
    if (code !== 'EADDRINUSE') throw error;
  }
  const { uid } = lstatSync(path);
  if (!lstatSync(path).isSocket()) refuse('a file that is not a socket exists there; choose another path');
  const code = connectionError(native, path);
  if (code === 'EACCES')
    refuse(
      `a socket of another user (uid ${uid}) exists there, which only that one can connect to; choose another path`,
    );
  if (code !== 'ECONNREFUSED') refuse('another server is listening there; stop it, or choose another path');
  try {
    unlinkSync(path);
  } catch (error) {
    if (!NOT_ALLOWED.includes(codeOf(error))) throw error;
    refuse(`a dead server of another user (uid ${uid}) has left its socket there; choose another path`);
  }
  return native.listen(path, BACKLOG);
}

const NOT_ALLOWED: readonly string[] = ['EACCES', 'EPERM', 'EROFS'];
const codeOf = (error: unknown): string => String((error as NativeError).code);

/** Why there is no connection to the socket; undefined when there is one. */
function connectionError(native: Native, path: string): string | undefined {
  try {
    native.close(native.connect(path));
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}
