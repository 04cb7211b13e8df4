/**
 * One request to the agent, from its first message to its reply: the promise of the result, its time limit, and the
 * data in both directions under flow control.
 *
 * Source: qemu/channel/protocol.ts.
 */
import { type Readable } from 'node:stream';
import { type AgentMessage, CHUNK_BYTES, type HostMessage } from './protocol';
import { SendWindow } from './send-window';

/**
 * The agent refused a request, or it failed. `code` is the name of the guest's errno (ENOENT), or empty if there is
 * none.
 */
export class GuestRequestError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
    this.name = 'GuestRequestError';
  }
}

export type AgentAnswer = Exclude<AgentMessage, { type: 'hello' | 'error' | 'mark' | 'credit' | 'failed' }>;

export interface ExchangeOptions {
  readonly id: number;
  /** The request, for error messages: "exec ls -l". */
  readonly what: string;
  readonly send: (message: HostMessage) => Promise<void>;
}

/** What the channel needs of every exchange, whatever its result type. */
export interface PendingExchange {
  receive(message: AnsweredMessage): void;
  fail(reason: Error): void;
}

export class Exchange<Result> implements PendingExchange {
  readonly id: number;
  readonly what: string;
  readonly result: Promise<Result>;
  readonly send: (message: HostMessage) => Promise<void>;
  /** Set by the request. Called for every reply that is not about flow control or failure. */
  onAnswer: (answer: AgentAnswer) => void = () => undefined;
  /** Called for every credit, which is a sign of progress. */
  onCredit: () => void = () => undefined;
  readonly #window = new SendWindow();
  #resolve!: (result: Result) => void;
  #reject!: (reason: Error) => void;
  #settled = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #cleanups: (() => void)[] = [];

  constructor({ id, what, send }: ExchangeOptions) {
    this.id = id;
    this.what = what;
    this.send = send;
    this.result = new Promise<Result>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.result.catch(() => undefined); // it is awaited later, and a failure until then is not an unhandled rejection
  }

  receive(message: AnsweredMessage): void {
    if (message.type === 'credit') {
      this.#window.credit(message.bytes);
      this.onCredit();
    } else if (message.type === 'failed') this.fail(failure(message));
    else this.onAnswer(message);
  }

  finish(result: Result): void {
    if (this.#settle()) this.#resolve(result);
  }

  fail(reason: Error): void {
    if (this.#settle()) this.#reject(reason);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Runs `cleanup` once the exchange has succeeded or failed. */
  whenSettled(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  /**
   * (Re)starts the time limit: without a result within `limitMs`, the exchange fails with `reason`. Infinity: no limit.
   */
  limit(limitMs: number, reason: () => Error): void {
    clearTimeout(this.#timer);
    if (!this.#settled && Number.isFinite(limitMs)) {
      this.#timer = setTimeout(() => this.fail(reason()), Math.min(limitMs, 2 ** 31 - 1));
    }
  }

  /** Notifies the agent that `data` has been consumed, so that it sends more. */
  consumed(data: Uint8Array): void {
    if (!this.#settled) void this.send({ type: 'credit', id: this.id, bytes: data.length });
  }

  /**
   * Sends all of `source`, then its end. Stops early if there is a result. An error of the source fails the exchange.
   */
  async feed(source: Uint8Array | Readable): Promise<void> {
    if (source instanceof Uint8Array) await this.#sendData(source);
    else await this.#sendReadable(source);
    if (!this.#settled) await this.send({ type: 'end', id: this.id });
  }

  async #sendData(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      if (!(await this.#window.take(chunk.length))) return;
      await this.send({ type: 'input', id: this.id, data: chunk });
    }
  }

  /**
   * By events instead of iteration: once there is a result, an idle source (a terminal) must be neither destroyed nor
   * waited for.
   */
  #sendReadable(source: Readable): Promise<void> {
    return new Promise((resolve, reject) => {
      let sent = Promise.resolve();
      const onData = (chunk: Uint8Array | string): void => {
        source.pause();
        sent = sent.then(() => this.#sendData(typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
        sent.then(() => !this.#settled && source.resume(), reject);
      };
      const onEnd = (): void => void sent.then(stop, reject);
      const stop = (): void => {
        source.off('data', onData).off('end', onEnd).off('error', reject).pause();
        resolve();
      };
      source.on('data', onData).on('end', onEnd).on('error', reject);
      this.whenSettled(stop);
      if (this.#settled || source.readableEnded) stop();
    });
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#window.close();
    for (const cleanup of this.#cleanups) cleanup();
    return true;
  }
}

export type AnsweredMessage = AgentAnswer | Extract<AgentMessage, { type: 'credit' | 'failed' }>;

/** With the agent's message, which says what was attempted. */
function failure({ code, message }: Extract<AgentMessage, { type: 'failed' }>): GuestRequestError {
  return new GuestRequestError(`${message}${code === '' ? '' : ` (${code})`}`, code);
}
