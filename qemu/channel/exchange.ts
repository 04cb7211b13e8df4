/**
 * One request to the agent from its first message to its answer: the result's promise, its bound in time, and the data that
 * goes either way under flow control.
 *
 * Source: qemu/channel/protocol.ts.
 */
import { type Readable } from 'node:stream';
import { type AgentMessage, CHUNK_BYTES, type HostMessage } from './protocol';
import { SendWindow } from './send-window';

/** The agent refused a request, or could not do it. `code` is the guest's errno by name (ENOENT), empty if there is none. */
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
  /** What is being done, for errors: "exec ls -l". */
  readonly what: string;
  readonly send: (message: HostMessage) => Promise<void>;
}

/** What the channel needs of any exchange, whatever its result. */
export interface PendingExchange {
  receive(message: AnsweredMessage): void;
  fail(reason: Error): void;
}

export class Exchange<Result> implements PendingExchange {
  readonly id: number;
  readonly what: string;
  readonly result: Promise<Result>;
  readonly send: (message: HostMessage) => Promise<void>;
  /** Given by the request: handles everything that is not flow control or failure. */
  onAnswer: (answer: AgentAnswer) => void = () => undefined;
  /** Told of every credit, which is a sign of progress. */
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
    this.result.catch(() => undefined); // it is awaited later: until then a failure is not unhandled
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

  /** Runs `cleanup` as soon as there is a result, of either kind. */
  whenSettled(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  /** (Re)starts the bound: without a result `limitMs` from now, the exchange fails with `reason`. Infinity: no bound. */
  limit(limitMs: number, reason: () => Error): void {
    clearTimeout(this.#timer);
    if (!this.#settled && Number.isFinite(limitMs)) {
      this.#timer = setTimeout(() => this.fail(reason()), Math.min(limitMs, 2 ** 31 - 1));
    }
  }

  /** Tells the agent that `data` has been consumed, so that it sends more. */
  consumed(data: Uint8Array): void {
    if (!this.#settled) void this.send({ type: 'credit', id: this.id, bytes: data.length });
  }

  /** Sends all of `source`, then its end; stops early when there is a result. A source that fails, fails the exchange. */
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

  /** By events rather than iteration: an idle source (a terminal) must not be destroyed or waited for once we are done. */
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

/** In the agent's own words, which say what was attempted. */
function failure({ code, message }: Extract<AgentMessage, { type: 'failed' }>): GuestRequestError {
  return new GuestRequestError(`${message}${code === '' ? '' : ` (${code})`}`, code);
}
