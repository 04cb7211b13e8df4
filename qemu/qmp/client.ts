/**
 * Client of QMP, QEMU's control protocol: greeting, capabilities, commands with an id, events.
 *
 * Source: QEMU docs/interop/qmp-spec.rst.
 */
import { EventEmitter, on } from 'node:events';
import { type Duplex } from 'node:stream';
import { LineSplitter } from './lines';

export const DEFAULT_QMP_TIMEOUT_MS = 10_000;

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Time of the event by the host's clock, in milliseconds since 1970, or undefined if QEMU does not know it. */
  readonly timeMs: number | undefined;
}

export interface QmpWait {
  /** Time limit in milliseconds. Default: DEFAULT_QMP_TIMEOUT_MS. */
  readonly timeoutMs?: number;
}

interface PendingCommand {
  readonly command: string;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Any message from QEMU. Its keys tell which kind it is. */
interface QmpMessage {
  readonly QMP?: { readonly version: { readonly qemu: { major: number; minor: number; micro: number } } };
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly id?: number;
  readonly event?: string;
  readonly data?: Record<string, unknown>;
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
}

export class QmpClient {
  /** QEMU's version, such as '11.1.3'. */
  version = 'unknown';

  private readonly emitter = new EventEmitter().setMaxListeners(0);
  private readonly pending = new Map<number, PendingCommand>();
  private readonly lines = new LineSplitter();
  private nextId = 1;
  private closedBy: Error | undefined;

  private constructor(private readonly stream: Duplex) {
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (error) => this.close(new QmpConnectionError(`The QMP connection failed: ${error.message}`)));
    stream.on('close', () => this.close(new QmpConnectionError('QEMU closed the QMP connection.')));
    stream.on('end', () => this.close(new QmpConnectionError('QEMU closed the QMP connection.')));
  }

  /**
   * Waits for QEMU's greeting on a connected stream and leaves capabilities negotiation mode. `onEvent` gets all
   * events, including those that arrive before the client is returned. @throws QmpTimeoutError, QmpConnectionError
   */
  static async connect(
    stream: Duplex,
    { timeoutMs = DEFAULT_QMP_TIMEOUT_MS, onEvent }: QmpWait & { readonly onEvent?: (event: QmpEvent) => void } = {},
  ): Promise<QmpClient> {
    const client = new QmpClient(stream);
    if (onEvent) client.onEvent(onEvent);
    try {
      await client.once<void>('greeting', 'send its greeting', timeoutMs);
      await client.execute('qmp_capabilities', undefined, { timeoutMs });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.closedBy !== undefined;
  }

  /**
   * Runs a command and returns QEMU's result. @throws QmpCommandError if QEMU refuses it, QmpTimeoutError,
   * QmpConnectionError
   */
  async execute<Result = unknown>(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    { timeoutMs = DEFAULT_QMP_TIMEOUT_MS }: QmpWait = {},
  ): Promise<Result> {
    if (this.closedBy) throw lost(`Cannot send '${command}'`, this.closedBy);
    const id = this.nextId++;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Result>((resolve, reject) => {
        this.pending.set(id, { command, resolve: (result) => resolve(result as Result), reject });
        timer = setTimeout(() => reject(new QmpTimeoutError(`reply to '${command}'`, timeoutMs)), timeoutMs);
        this.stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
      });
    } finally {
      clearTimeout(timer);
      this.pending.delete(id);
    }
  }

  /** Calls `listener` for every event from now on. The returned function removes the listener. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.emitter.on('event', listener);
    return () => this.emitter.off('event', listener);
  }

  /** Every event from now on, until the connection closes or the caller leaves the loop. */
  async *events(): AsyncGenerator<QmpEvent, void, undefined> {
    if (this.closedBy) return;
    for await (const [event] of on(this.emitter, 'event', { close: ['closed'] })) yield event as QmpEvent;
  }

  /** The next event of this name (for which `where` returns true). Call it before causing the event. */
  async waitForEvent(
    name: string,
    {
      timeoutMs = DEFAULT_QMP_TIMEOUT_MS,
      where = () => true,
    }: QmpWait & { readonly where?: (event: QmpEvent) => boolean } = {},
  ): Promise<QmpEvent> {
    const matches = (event: QmpEvent) => event.event === name && where(event);
    return this.once<QmpEvent>('event', `send the event ${name}`, timeoutMs, matches);
  }

  /** Closes the connection. Every pending command and wait rejects with `reason`. */
  close(reason: Error = new QmpConnectionError('The QMP connection was closed on this side.')): void {
    if (this.closedBy) return;
    this.closedBy = reason;
    this.stream.destroy();
    for (const { command, reject } of this.pending.values()) reject(lost(`'${command}' got no reply`, reason));
    this.emitter.emit('closed', reason);
  }

  private once<T>(
    signal: 'greeting' | 'event',
    what: string,
    timeoutMs: number,
    matches: (value: T) => boolean = () => true,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const onSignal = (value: T) => {
        if (matches(value)) settle(() => resolve(value));
      };
      const onClosed = (reason: Error) => settle(() => reject(lost(`QEMU did not ${what}`, reason)));
      const timer = setTimeout(() => settle(() => reject(new QmpTimeoutError(what, timeoutMs))), timeoutMs);
      const settle = (outcome: () => void) => {
        clearTimeout(timer);
        this.emitter.off(signal, onSignal);
        this.emitter.off('closed', onClosed);
        outcome();
      };
      this.emitter.on(signal, onSignal);
      this.emitter.on('closed', onClosed);
      if (this.closedBy) onClosed(this.closedBy);
    });
  }

  private receive(chunk: Buffer): void {
    try {
      for (const line of this.lines.push(chunk)) this.dispatch(JSON.parse(line) as QmpMessage);
    } catch (cause) {
      this.close(
        new QmpConnectionError(`The QMP connection received something that is not QMP: ${(cause as Error).message}`, {
          cause,
        }),
      );
    }
  }

  private dispatch(message: QmpMessage): void {
    if (message.QMP) {
      const { major, minor, micro } = message.QMP.version.qemu;
      this.version = `${major}.${minor}.${micro}`;
      this.emitter.emit('greeting');
    } else if (message.event !== undefined) {
      this.emitter.emit('event', eventOf(message.event, message));
    } else if (message.id === undefined) {
      throw new Error(`a reply without id: ${JSON.stringify(message)}`);
    } else {
      // An id that is not pending belongs to a command that timed out.
      const command = this.pending.get(message.id);
      if (message.error) {
        command?.reject(new QmpCommandError(command.command, message.error.class, message.error.desc));
      } else {
        command?.resolve(message.return);
      }
    }
  }
}

function eventOf(event: string, { data = {}, timestamp }: QmpMessage): QmpEvent {
  // QEMU sends seconds -1 if it cannot read the host's clock.
  const known = timestamp !== undefined && timestamp.seconds >= 0;
  return { event, data, timeMs: known ? timestamp.seconds * 1000 + timestamp.microseconds / 1000 : undefined };
}

function lost(what: string, reason: Error): QmpConnectionError {
  return new QmpConnectionError(`${what}: ${reason.message}`, { cause: reason });
}

/** QEMU refused a command. `errorClass` and `description` are QEMU's. */
export class QmpCommandError extends Error {
  constructor(
    readonly command: string,
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`QEMU refused the QMP command '${command}': ${errorClass}: ${description}`);
    this.name = 'QmpCommandError';
  }
}

/** The connection is closed, or received something that is not QMP. */
export class QmpConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QmpConnectionError';
  }
}

/** QEMU did not reply, or send an event, within the time limit. */
export class QmpTimeoutError extends Error {
  constructor(what: string, timeoutMs: number) {
    super(`QEMU did not ${what} over QMP within ${timeoutMs} ms.`);
    this.name = 'QmpTimeoutError';
  }
}
