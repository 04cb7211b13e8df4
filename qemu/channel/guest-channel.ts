/**
 * The host's side of the channel to the guest agent: runs commands in the guest, pushes and fetches files.
 *
 * Many requests run concurrently over one stream. `abort` ends them all with the reason (QEMU exited, the kernel
 * panicked). Source: qemu/channel/protocol.ts.
 */
import { randomInt } from 'node:crypto';
import { type Duplex } from 'node:stream';
import { type ExecOptions, type ExecResult, type GuestCommand, startCommand } from './command';
import { Exchange, type PendingExchange } from './exchange';
import { fetchFile, pushFile } from './file-transfer';
import { helloAnswerStart } from './framing';
import { MessageStream } from './message-stream';
import { type AgentHello, type AgentMessage, type HostMessage, PROTOCOL_VERSION } from './protocol';

export interface ConnectOptions {
  /** Time limit for the agent's hello. It includes the guest's boot if the guest has just been started. */
  readonly timeoutMs: number;
  /** Called for each mark that a program in the guest sets. The program continues when this has returned. */
  readonly onMark?: (text: string) => void;
}

/** Limits of a transfer of a file. */
export interface TransferOptions {
  /** Time limit without progress. Default: 30 s. */
  readonly idleTimeoutMs?: number;
}

/** What must differ between guests that are restored from the same snapshot. */
export interface GuestIdentity {
  /** The time of day in milliseconds since 1970, as from Date.now(). */
  readonly realtimeMs: number;
  /** 32 to 512 random bytes, which the kernel's random number generator uses at once. */
  readonly entropy: Uint8Array;
  readonly hostname: string;
}

const ANSWER_TIMEOUT_MS = 10_000;

export class GuestChannel implements AsyncDisposable {
  readonly #messages: MessageStream;
  readonly #exchanges = new Map<number, PendingExchange>();
  /**
   * The first id is one that no other host has used, so that no reply to another host is taken for a reply to this one.
   */
  #nextId = randomInt(2 ** 16, 2 ** 31);
  #ended: Error | undefined;
  #hello: { exchange: Exchange<AgentHello>; agent?: AgentHello };

  private constructor(
    stream: Duplex,
    private readonly options: ConnectOptions,
  ) {
    const { timeoutMs } = options;
    this.#messages = new MessageStream(stream, helloAnswerStart(this.#nextId), {
      onMessage: (message) => this.#receive(message),
      onEnd: (reason) => this.abort(reason),
    });
    const exchange = this.#begin<AgentHello>('connect to the guest agent');
    exchange.limit(
      timeoutMs,
      () => new Error(`no hello from the guest agent within ${timeoutMs} ms: has the guest booted?`),
    );
    this.#hello = { exchange };
    void this.#messages.send({ type: 'hello', id: exchange.id });
  }

  /**
   * Takes ownership of `stream` and waits for the agent's hello. Rejects, with the stream destroyed, if none arrives in
   * time.
   */
  static async connect(stream: Duplex, options: ConnectOptions): Promise<GuestChannel> {
    const channel = new GuestChannel(stream, options);
    try {
      channel.#hello.agent = await channel.#hello.exchange.result;
      return channel;
    } catch (error) {
      channel.abort(error as Error);
      throw error;
    }
  }

  /** What the agent reported about itself and its kernel. */
  get agent(): AgentHello {
    return this.#hello.agent as AgentHello;
  }

  /** Why the channel has ended, or undefined while it is open. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** Runs a command until it ends. Rejects if it cannot be started. A non-zero exit code or a signal is a result. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.start(argv, options).result;
  }

  /** Starts a command that can be sent signals while it runs. */
  start(argv: readonly string[], options: ExecOptions = {}): GuestCommand {
    return startCommand(this.#begin<ExecResult>(`exec ${argv.join(' ')}`), argv, options);
  }

  /** Writes a file in the guest, atomically. Its folder must exist. Rejects with GuestRequestError. */
  push(guestPath: string, bytes: Uint8Array, mode = 0o644, options: TransferOptions = {}): Promise<void> {
    return pushFile(this.#begin<void>(`push ${guestPath}`), guestPath, bytes, mode, options.idleTimeoutMs);
  }

  /** Reads a regular file of the guest, also in /proc and /sys. Rejects with GuestRequestError. */
  fetch(guestPath: string, options: TransferOptions = {}): Promise<Buffer> {
    return fetchFile(this.#begin<Buffer>(`fetch ${guestPath}`), guestPath, options.idleTimeoutMs);
  }

  /** Makes a round trip to the agent, to check that it is alive. */
  ping(timeoutMs = ANSWER_TIMEOUT_MS): Promise<void> {
    return this.#ask('ping the guest agent', (id) => ({ type: 'ping', id }), timeoutMs);
  }

  /** Sets the clock, the random state and the host name of a restored guest. */
  renew({ realtimeMs, entropy, hostname }: GuestIdentity): Promise<void> {
    const identity = { realtimeMs: Math.floor(realtimeMs), entropy, hostname };
    return this.#ask('renew the guest', (id) => ({ type: 'renew', id, ...identity }), ANSWER_TIMEOUT_MS);
  }

  /** Ends the channel: everything pending, and every later request, rejects with `reason`. */
  abort(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#messages.destroy(reason);
    for (const exchange of [...this.#exchanges.values()]) exchange.fail(reason);
  }

  close(): void {
    this.abort(new Error('the channel to the guest agent has been closed by its owner'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** A request with a single reply, which only confirms that it was done. */
  #ask(what: string, message: (id: number) => HostMessage, timeoutMs: number): Promise<void> {
    const exchange = this.#begin<void>(what);
    exchange.limit(timeoutMs, () => new Error(`${what}: no reply from the guest agent within ${timeoutMs} ms`));
    exchange.onAnswer = () => exchange.finish();
    try {
      void exchange.send(message(exchange.id));
    } catch (error) {
      exchange.fail(error as Error);
    }
    return exchange.result;
  }

  #begin<Result>(what: string): Exchange<Result> {
    const id = this.#nextId++;
    const send = (message: HostMessage): Promise<void> => this.#messages.send(message);
    const exchange = new Exchange<Result>({ id, what, send });
    this.#exchanges.set(id, exchange);
    exchange.whenSettled(() => this.#exchanges.delete(id));
    if (this.#ended !== undefined) exchange.fail(this.#ended);
    return exchange;
  }

  #receive(message: AgentMessage): void {
    switch (message.type) {
      case 'hello':
        return this.#receiveHello(message);
      case 'error':
        return this.abort(new Error(`the guest agent refused a message: ${message.message}`));
      case 'mark':
        this.options.onMark?.(message.text);
        return void this.#messages.send({ type: 'marked', id: message.id });
      default: // a reply that nothing waits for is ignored
        this.#exchanges.get(message.id)?.receive(message);
    }
  }

  /**
   * The reply to our hello opens the channel, and is the first message that arrives here. A hello without id means that
   * the agent has lost its state.
   */
  #receiveHello(message: Extract<AgentMessage, { type: 'hello' }>): void {
    const { exchange } = this.#hello;
    if (message.id === exchange.id) {
      if (message.protocol === PROTOCOL_VERSION) return exchange.finish(message);
      const versions = `the guest agent uses protocol version ${message.protocol}, this host ${PROTOCOL_VERSION}`;
      exchange.fail(new Error(`${versions}: rebuild the guest image`));
    } else {
      this.abort(new Error('the guest agent started over: it was restarted, or the guest was reset or restored'));
    }
  }
}
