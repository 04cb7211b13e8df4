/**
 * A vfio-user client that can misbehave: it sends any bytes with any descriptors, in any pieces, and hands on what
 * arrives. Every wait has a limit. What is sent and what comes goes to the transcript.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "Header".
 */
import {
  DESCRIPTOR_COUNT,
  FIRST_DESCRIPTOR,
  type Native,
  type Poller,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from '../../emulator/native';
import { errnoName } from '../../emulator/vfio-user/errno';
import { Outbox } from '../../emulator/vfio-user/outbox';
import { Command, commandName, Header, HEADER_BYTES, HeaderFlag } from '../../emulator/vfio-user/wire';
import { deviceInfoOf, messageOf, type MessageFields } from './messages';
import { Unmet } from './outcome';
import { describeBytes, type Transcript } from './transcript';

/** A reply of the server. */
export interface Reply {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  /** 0, or the error of an error reply, which may be 0 too. */
  readonly errno: number;
  readonly isError: boolean;
  readonly payload: Buffer;
  /** Closed with the client. */
  readonly descriptors: readonly number[];
}

/** A reply, why the connection has ended, or nothing within the limit. */
export type Arrival = Reply | { readonly ended: string } | undefined;

/** What a request was: its command, payload and descriptors. */
export interface Request extends Omit<MessageFields, 'command'> {
  readonly descriptors?: readonly number[];
}

/** Receives of all clients go here first: there is one thread. */
const received = new Uint8Array(256 * 1024);
const receivedDescriptors = new Int32Array(FIRST_DESCRIPTOR + 253);
const MOST_REPLY_BYTES = 64 << 20;
/** After what has no defined answer, this long for one. */
const SETTLE_MS = 100;

export class Client {
  readonly #outbox: Outbox;
  readonly #poller: Poller;
  readonly #arrivals: Arrival[] = [];
  readonly #descriptors: number[] = [];
  readonly #passedNow: number[] = [];
  #stream = Buffer.alloc(0);
  #ended: { readonly ended: string } | undefined;
  #closed = false;
  #nextId = 1;
  #wake: (() => void) | undefined;

  /** Takes ownership of the socket `fd`. */
  constructor(
    private readonly native: Native,
    private readonly fd: number,
    private readonly name: string,
    private readonly transcript: Transcript,
    private readonly timeoutMs: number,
  ) {
    this.#outbox = new Outbox(native, fd);
    this.#poller = new native.Poller(fd, (events) => this.#ready(events));
    this.#poller.start(READABLE);
  }

  /** Sends bytes as they are, and does not wait. A connection that the server has closed swallows them. */
  send(bytes: Uint8Array, descriptors: readonly number[] = []): void {
    this.transcript.add(`${this.name} > ${describeBytes(bytes, descriptors.length)}`);
    if (this.#closed) return;
    try {
      this.#outbox.send(
        bytes,
        bytes.length,
        undefined,
        descriptors.length > 0 ? Int32Array.from(descriptors) : undefined,
      );
      this.#poller.start(this.#outbox.isEmpty ? READABLE : READABLE | WRITABLE);
    } catch (error) {
      this.transcript.add(`${this.name}   cannot send: ${(error as Error).message}`);
    }
  }

  /** Sends a command with a fresh id, unless `request` has one, and does not wait. Returns the id. */
  post(command: number, request: Request = {}): number {
    const id = request.id ?? this.#nextId++ & 0xffff;
    this.send(messageOf({ ...request, id, command }), request.descriptors);
    return id;
  }

  /** What arrives next. */
  async arrival(timeoutMs = this.timeoutMs): Promise<Arrival> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (this.#arrivals.length > 0) return this.#arrivals.shift();
      if (this.#ended) return this.#ended;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  /** The next reply must be the one to message `id` of `command`. */
  async reply(command: number, id: number): Promise<Reply> {
    const arrival = await this.arrival();
    const name = commandName(command);
    if (arrival === undefined) throw new Unmet(`no reply to ${name} within ${this.timeoutMs} ms`);
    if ('ended' in arrival) throw new Unmet(`no reply to ${name}: ${arrival.ended}`);
    if (arrival.id !== id)
      throw new Unmet(`a reply with id ${arrival.id}; the next one was due to ${name} with id ${id}`);
    if (arrival.command !== command)
      throw new Unmet(`the reply to ${name} names the command ${commandName(arrival.command)}`);
    if (arrival.isError && arrival.payload.length > 0)
      throw new Unmet(`the error reply to ${name} has ${arrival.payload.length} bytes behind its header`);
    return arrival;
  }

  /** Sends a command and returns its reply, whether it is an error or not. */
  async ask(command: number, request: Request = {}): Promise<Reply> {
    return this.reply(command, this.post(command, request));
  }

  /** The command must succeed. */
  async accepted(command: number, request: Request = {}): Promise<Reply> {
    const reply = await this.ask(command, request);
    if (reply.isError) throw new Unmet(`${commandName(command)} was refused with ${errnoName(reply.errno)}`);
    return reply;
  }

  /** The command must be answered by an error reply, and the session goes on. */
  async refused(command: number, request: Request = {}, errno?: number): Promise<void> {
    const reply = await this.ask(command, request);
    if (!reply.isError) throw new Unmet(`${commandName(command)} was accepted`);
    if (errno !== undefined && reply.errno !== errno)
      throw new Unmet(`${commandName(command)} was refused with ${errnoName(reply.errno)}, not ${errnoName(errno)}`);
  }

  /** The message with this id, which was sent by hand, must be refused. */
  async refusedAs(command: number, id: number): Promise<void> {
    if (!(await this.reply(command, id)).isError) throw new Unmet(`${commandName(command)} was accepted`);
  }

  /** The command must not succeed: an error reply, or the end of the connection. */
  async notAccepted(command: number, request: Request = {}): Promise<void> {
    this.post(command, request);
    const arrival = await this.arrival();
    if (arrival === undefined) throw new Unmet(`neither an error reply nor the end of the connection`);
    if ('isError' in arrival && !arrival.isError) throw new Unmet(`${commandName(command)} was accepted`);
  }

  /** After what the specification leaves open: gives the server a moment to answer, close or stay silent. */
  async settled(): Promise<void> {
    await this.arrival(SETTLE_MS);
  }

  /** The session must still be served. */
  async goesOn(): Promise<void> {
    const { payload } = await this.accepted(Command.DEVICE_GET_INFO, { payload: deviceInfoOf() });
    if (payload.length < 16) throw new Unmet(`the reply to DEVICE_GET_INFO has ${payload.length} bytes; 16 are due`);
  }

  /** The server must end the connection; replies before the end do not matter. */
  async untilEnded(): Promise<void> {
    const deadline = performance.now() + this.timeoutMs;
    for (;;) {
      const arrival = await this.arrival(Math.max(0, deadline - performance.now()));
      if (arrival === undefined) throw new Unmet(`the connection is still open after ${this.timeoutMs} ms`);
      if ('ended' in arrival) return;
    }
  }

  /** Leaves what the server sends unread. */
  stopReading(): void {
    this.#poller.stop();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.transcript.add(`${this.name}   closes the connection`);
    this.#poller.close();
    this.native.close(this.fd);
    for (const fd of this.#descriptors) this.native.close(fd);
    this.#end('this client has closed the connection');
  }

  #end(reason: string): void {
    this.#ended ??= { ended: reason };
    this.#wake?.();
  }

  #ready(events: number): void {
    try {
      if (events & WRITABLE && this.#outbox.flush()) this.#poller.start(READABLE);
    } catch {
      this.#poller.start(READABLE); // what the server has sent before it closed can still be read
    }
    if (!(events & READABLE)) return;
    try {
      const got = this.native.receive(this.fd, received, 0, received.length, receivedDescriptors, 0);
      if (got === WOULD_BLOCK) return;
      if (got === 0) return this.#lost('the server closed the connection');
      const count = receivedDescriptors[DESCRIPTOR_COUNT]!;
      const passed = receivedDescriptors.subarray(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count);
      this.#descriptors.push(...passed);
      this.#passedNow.push(...passed);
      this.#stream = Buffer.concat([this.#stream, received.subarray(0, got)]);
      this.#take();
    } catch (error) {
      this.#lost(`the connection broke: ${(error as Error).message}`);
    }
  }

  #lost(reason: string): void {
    this.transcript.add(`${this.name} < ${reason}`);
    this.#poller.stop();
    this.#end(reason);
  }

  #take(): void {
    while (this.#stream.length >= HEADER_BYTES) {
      const sizeBytes = this.#stream.readUInt32LE(Header.SIZE);
      if (sizeBytes < HEADER_BYTES || sizeBytes > MOST_REPLY_BYTES)
        return this.#lost(`the server sent a header that says ${sizeBytes} bytes: ${describeBytes(this.#stream)}`);
      if (this.#stream.length < sizeBytes) return;
      const message = this.#stream.subarray(0, sizeBytes);
      this.#stream = this.#stream.subarray(sizeBytes);
      this.#deliver(message, this.#passedNow.splice(0));
    }
  }

  #deliver(message: Buffer, descriptors: readonly number[]): void {
    this.transcript.add(`${this.name} < ${describeBytes(message, descriptors.length)}`);
    const id = message.readUInt16LE(Header.ID);
    const command = message.readUInt16LE(Header.COMMAND);
    const flags = message.readUInt32LE(Header.FLAGS);
    if ((flags & HeaderFlag.TYPE_MASK) === HeaderFlag.TYPE_COMMAND) return this.#refuseCommand(id, command);
    const isError = (flags & HeaderFlag.ERROR) !== 0;
    const errno = isError ? message.readUInt32LE(Header.ERROR) : 0;
    this.#arrivals.push({ id, command, flags, errno, isError, payload: message.subarray(HEADER_BYTES), descriptors });
    this.#wake?.();
  }

  /** The device wants DMA by message: there is no memory here. */
  #refuseCommand(id: number, command: number): void {
    const flags = HeaderFlag.TYPE_REPLY | HeaderFlag.ERROR;
    this.send(messageOf({ id, command, flags, errno: 14 /* EFAULT */ }));
  }
}
