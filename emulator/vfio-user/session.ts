/**
 * One client's session, from its first message to its last: receives requests, executes them and replies, in order.
 * Between messages the device's clock runs its due work, so that a doorbell takes effect at once.
 *
 * The poll group decides how long a session polls for the next message and how sessions share the thread.
 */
import { type Native } from '../native';
import { encodeHeader, isReply } from './codec';
import { Commands } from './commands';
import { Connection, ConnectionEnded } from './connection';
import { DeviceError, type Device } from '../device';
import { DmaWindows } from './dma-windows';
import { EIO, EINVAL, EMFILE, errnoOf } from './errno';
import { type ServerEvent } from './events';
import { FramingError, type MessageReader, OversizedMessage } from './framing';
import { IDLE, type PollGroup, type PollMember, type PollResult, WORKED, YIELD } from './poll-group';
import { RegionAccessor } from './region-access';
import { RemoteDma } from './remote-dma';
import { type SpinLimits, SpinPolicy } from './spin';
import { answerVersion, type Capabilities, decodeVersion, encodeVersion, serverCapabilities } from './version';
import { Command, DMA_ACCESS_BYTES, Header, HEADER_BYTES, HeaderFlag } from './wire';

/** Each receives as much as the reader has room for. A socket holds less than all of them together. */
const MOST_RECEIVES_BEHIND = 64;
const MAX_MESSAGE_BYTES = HEADER_BYTES + DMA_ACCESS_BYTES + serverCapabilities.maxTransferBytes;

export interface SessionOptions {
  readonly native: Native;
  readonly clock: { runDue(): boolean };
  readonly group: PollGroup;
  readonly spinLimits?: SpinLimits | undefined;
  readonly dmaTimeoutMs: number;
  /** Size of the largest piece in which guest memory is mapped, in bytes. */
  readonly dmaPieceBytes: number;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onEnd: () => void;
}

export class Session implements PollMember {
  readonly spin: SpinPolicy;
  lastWorkUs = 0;
  readonly #native: Native;
  readonly #connection: Connection;
  readonly #reader: MessageReader;
  readonly #access: RegionAccessor;
  readonly #dma: DmaWindows;
  readonly #commands: Commands;
  /** Exists once the version is negotiated, which sets how much the client accepts in one message. */
  #remote: RemoteDma | undefined;
  #agreed: Capabilities | undefined;
  /** Descriptors that came with the current message and that nothing has kept. */
  readonly #passed: number[] = [];
  #ended = false;
  /** The reader may hold complete messages: serving was suspended until the client reads its replies. */
  #isBehind = false;
  /** A promise was settled. Its continuation runs only after the stack has unwound. */
  #settled = false;

  /** Takes ownership of the connection `fd`. */
  constructor(
    fd: number,
    private readonly device: Device,
    private readonly options: SessionOptions,
  ) {
    this.#native = options.native;
    this.spin = new SpinPolicy(options.spinLimits);
    this.#access = new RegionAccessor(device, serverCapabilities.maxTransferBytes);
    const remote = {
      read: (iova: bigint, into: Uint8Array) => this.#remoteOrFail().read(iova, into),
      write: (iova: bigint, from: Uint8Array) => this.#remoteOrFail().write(iova, from),
    };
    this.#dma = new DmaWindows(this.#native, device, remote, {
      maxMaps: serverCapabilities.maxDmaMaps,
      pieceBytes: options.dmaPieceBytes,
    });
    this.#commands = new Commands(this.#native, device, this.#dma);
    this.#connection = new Connection(options.native, fd, MAX_MESSAGE_BYTES, {
      ready: () => options.group.woken(this),
      broken: (reason) => this.#end(reason),
    });
    this.#reader = this.#connection.reader;
  }

  /** Closes the connection from the server's side. */
  close(reason: string): void {
    this.#end(reason);
  }

  get #isHeldUp(): boolean {
    return this.#ended || this.#connection.isHeldUp;
  }

  /** Polls the socket once: serves what has arrived, or runs the due work of the device's clock. */
  poll(spinUs: number): PollResult {
    if (this.#isHeldUp) return IDLE;
    this.#settled = false;
    if (!this.#isBehind && !this.#receive(spinUs)) return this.#runDue() ? WORKED : IDLE;
    this.#serveReceived();
    return this.#settled ? YIELD : WORKED;
  }

  /** Serves what the client has sent so far, at most what a socket holds, without waiting for the event loop. */
  catchUp(): void {
    for (let left = MOST_RECEIVES_BEHIND; left > 0 && !this.#isHeldUp; left--) {
      if (!this.#isBehind && !this.#receive(0)) return;
      this.#serveReceived();
    }
  }

  /** Whether there is something to serve. Ends the session if the connection has ended. */
  #receive(spinUs: number): boolean {
    try {
      return this.#connection.receive(spinUs);
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error;
      this.#end(error.message);
      return false;
    }
  }

  #serveReceived(): void {
    const reader = this.#reader;
    this.#runDue(); // what was due before the access comes before it
    while (!this.#isHeldUp) {
      try {
        if (!reader.next()) break;
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        this.#refuseUnreadable(error);
        continue;
      }
      this.#serve();
      this.#runDue();
    }
    this.#isBehind = this.#isHeldUp;
  }

  /** Answers a message whose size is refused. A command that is only too long is skipped, and the session goes on. */
  #refuseUnreadable(error: FramingError): void {
    const { view, at } = this.#reader;
    const command = view.getUint16(at + Header.COMMAND, true);
    const flags = view.getUint32(at + Header.FLAGS, true);
    const canBeSkipped = error instanceof OversizedMessage && this.#remote !== undefined && !isReply(flags);
    this.#refuse(command, canBeSkipped ? flags : 0, new DeviceError(EINVAL, error.message));
    if (canBeSkipped) this.#reader.skip();
    else this.#end(error.message);
  }

  /** Serves the current message, from request to reply. */
  #serve(): void {
    const { view, at, sizeBytes } = this.#reader;
    const flags = view.getUint32(at + Header.FLAGS, true);
    const command = view.getUint16(at + Header.COMMAND, true);
    if (isReply(flags)) {
      this.#closeAll(this.#reader.takeDescriptors().descriptors);
      this.#settled = true;
      if (!this.#remote?.settle(this.#reader.bytes, view, at, sizeBytes))
        this.#end('the client sent a reply that matches no request');
      return;
    }
    try {
      const payloadBytes = this.#execute(command, at, sizeBytes);
      if (payloadBytes !== undefined && !(flags & HeaderFlag.NO_REPLY)) this.#sendReply(command, payloadBytes);
    } catch (error) {
      this.#refuse(command, flags, error);
    } finally {
      // After the reply, which the guest's processor waits for.
      if (this.#passed.length > 0) this.#closeAll(this.#passed.splice(0));
    }
  }

  /** Returns the size of the payload that it wrote into the reply, or undefined if it has already replied. */
  #execute(command: number, at: number, sizeBytes: number): number | undefined {
    const { view } = this.#reader;
    if (this.#remote !== undefined && !this.#reader.hasDescriptors) {
      const done = this.#accessRegion(command, at, sizeBytes);
      if (done !== undefined) return done;
    }
    const { descriptors, lost } = this.#reader.takeDescriptors();
    this.#passed.push(...descriptors);
    if (lost)
      throw new DeviceError(
        EMFILE,
        'some of the passed descriptors were lost: too many open files; raise the limit (ulimit -n)',
      );
    const payload = this.#reader.bytes.subarray(at + HEADER_BYTES, at + sizeBytes);
    if (this.#remote === undefined) return this.#negotiate(command, payload);
    const done = this.#accessRegion(command, at, sizeBytes);
    if (done !== undefined) return done;
    const reply = this.#commands.execute(command, payload, this.#passed);
    if (reply.payload) this.#access.reply.set(reply.payload, HEADER_BYTES);
    const wantsReply = (view.getUint32(at + Header.FLAGS, true) & HeaderFlag.NO_REPLY) === 0;
    if (reply.descriptor === undefined || !wantsReply) return reply.payload?.length ?? 0;
    this.#sendReply(command, reply.payload?.length ?? 0, Int32Array.of(reply.descriptor));
    return undefined;
  }

  /** The commands that a guest's CPU waits for. Returns undefined for any other. */
  #accessRegion(command: number, at: number, sizeBytes: number): number | undefined {
    const { bytes, view } = this.#reader;
    if (command === Command.REGION_READ) return this.#access.read(view, at, sizeBytes);
    if (command === Command.REGION_WRITE) return this.#access.write(bytes, view, at, sizeBytes);
    if (command === Command.REGION_WRITE_MULTI && this.#agreed?.writeMultiple)
      return this.#access.writeMulti(bytes, view, at, sizeBytes);
    return undefined;
  }

  #negotiate(command: number, payload: Uint8Array): number {
    try {
      if (command !== Command.VERSION) throw new DeviceError(EINVAL, 'the first message must be VERSION');
      const proposed = decodeVersion(payload);
      const agreed = answerVersion(proposed);
      const answer = encodeVersion(agreed);
      this.#agreed = agreed.capabilities;
      this.#remote = new RemoteDma({
        send: (header, data) => this.#send(header, header.length, data),
        maxTransferBytes: Math.min(proposed.capabilities.maxTransferBytes, serverCapabilities.maxTransferBytes),
        timeoutMs: this.options.dmaTimeoutMs,
      });
      this.#access.reply.set(answer, HEADER_BYTES);
      return answer.length;
    } catch (error) {
      this.#refuse(command, 0, error);
      this.#end((error as Error).message);
      throw error;
    }
  }

  #sendReply(command: number, payloadBytes: number, descriptors?: Int32Array): void {
    const { view, at } = this.#reader;
    const sizeBytes = HEADER_BYTES + payloadBytes;
    const id = view.getUint16(at + Header.ID, true);
    encodeHeader(this.#access.replyView, id, command, sizeBytes, HeaderFlag.TYPE_REPLY);
    this.#send(this.#access.reply, sizeBytes, undefined, descriptors);
  }

  #refuse(command: number, flags: number, error: unknown): void {
    if (this.#ended) return;
    const errno = errnoOf(error);
    if (errno === EIO && !(error instanceof DeviceError)) this.options.onEvent({ kind: 'device-error', error });
    else this.options.onEvent({ kind: 'refused', command, errno, message: (error as Error).message });
    if (flags & HeaderFlag.NO_REPLY) return;
    const { view, at } = this.#reader;
    const id = view.getUint16(at + Header.ID, true);
    const replyFlags = HeaderFlag.TYPE_REPLY | HeaderFlag.ERROR;
    encodeHeader(this.#access.replyView, id, command, HEADER_BYTES, replyFlags, errno);
    this.#send(this.#access.reply, HEADER_BYTES);
  }

  #send(buffer: Uint8Array, sizeBytes: number, payload?: Uint8Array, descriptors?: Int32Array): void {
    if (!this.#ended) this.#connection.send(buffer, sizeBytes, payload, descriptors);
  }

  #runDue(): boolean {
    try {
      return this.options.clock.runDue();
    } catch (error) {
      this.options.onEvent({ kind: 'device-error', error });
      return false;
    }
  }

  #remoteOrFail(): RemoteDma {
    if (this.#remote === undefined) throw new Error('DMA before the version was negotiated');
    return this.#remote;
  }

  #closeAll(descriptors: readonly number[]): void {
    for (const fd of descriptors) this.#native.close(fd);
  }

  /** Closes the connection, then resets the device and releases its interrupts and DMA mappings. */
  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.options.group.leave(this);
    this.#connection.close();
    this.#remote?.close();
    const { device } = this;
    this.#attempt(() => device.reset());
    device.layout.irqs.forEach(({ count }, index) => {
      if (count === 0) return;
      this.#attempt(() => device.setIrqs({ index, start: 0, count: 0, action: { kind: 'sinks', sinks: [] } }));
    });
    this.#attempt(() => this.#dma.unmapAll());
    this.options.onEvent({ kind: 'disconnected', reason });
    this.options.onEnd();
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.options.onEvent({ kind: 'device-error', error });
    }
  }
}
