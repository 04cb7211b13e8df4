/**
 * A vfio-user client for protocol tests and benchmarks: what QEMU does, but one message at a time and from TypeScript. It
 * never blocks; every request has a time limit.
 *
 * Source: QEMU docs/interop/vfio-user.rst.
 */
import {
  FIRST_DESCRIPTOR,
  loadNative,
  type Native,
  type Poller,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from '../../emulator/native';
import { encodeHeader, isReply } from '../../emulator/vfio-user/codec';
import { errnoName } from '../../emulator/vfio-user/errno';
import { MessageReader } from '../../emulator/vfio-user/framing';
import { Outbox } from '../../emulator/vfio-user/outbox';
import {
  type Capabilities,
  decodeVersion,
  defaultCapabilities,
  encodeVersion,
  type Version,
} from '../../emulator/vfio-user/version';
import { Command, commandName, Header, HEADER_BYTES, HeaderFlag, IrqSetFlag } from '../../emulator/vfio-user/wire';

/** The server's error reply. */
export class ErrorReply extends Error {
  constructor(
    command: number,
    readonly errno: number,
  ) {
    super(`${commandName(command)} was answered with ${errnoName(errno)}`);
    this.name = 'ErrorReply';
  }
}

export interface ReplyMessage {
  readonly id: number;
  readonly payload: Uint8Array;
  readonly descriptors: readonly number[];
}

/** How the client answers DMA messages: bytes, or an errno. */
export interface ClientMemory {
  read(iova: bigint, sizeBytes: number): Uint8Array | number;
  /** 0, or an errno. */
  write(iova: bigint, bytes: Uint8Array): number;
}

export interface ClientOptions {
  readonly native?: Native;
  readonly timeoutMs?: number;
  readonly memory?: ClientMemory;
}

interface Pending {
  readonly command: number;
  readonly resolve: (reply: ReplyMessage) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export type IrqData =
  { kind: 'none' } | { kind: 'bool'; vectors: boolean[] } | { kind: 'eventfd'; descriptors: number[] };

export class VfioUserClient implements AsyncDisposable {
  readonly native: Native;
  readonly closed: Promise<void>;
  /** Answers DMA_READ and DMA_WRITE; without it, they have no answer. */
  memory: ClientMemory | undefined;
  /** DMA requests of the server, in the order of arrival. */
  readonly dmaRequests: { id: number; command: number; iova: bigint; sizeBytes: number }[] = [];
  /** Replies without a pending request: to messages that were sent by hand. */
  readonly unexpectedReplies: ReplyMessage[] = [];
  readonly #fd: number;
  readonly #timeoutMs: number;
  readonly #poller: Poller;
  readonly #outbox: Outbox;
  readonly #reader = new MessageReader(8 * 1024 * 1024, (fd) => this.native.close(fd));
  readonly #words = new Int32Array(FIRST_DESCRIPTOR + 253);
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;
  #announceClosed: () => void = () => {};

  constructor(socketPath: string, options: ClientOptions = {}) {
    this.native = options.native ?? loadNative();
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.memory = options.memory;
    this.closed = new Promise((resolve) => (this.#announceClosed = resolve));
    this.#fd = this.native.connect(socketPath);
    this.#outbox = new Outbox(this.native, this.#fd);
    this.#poller = new this.native.Poller(this.#fd, (events) => this.#ready(events));
    this.#poller.start(READABLE);
  }

  /** Connects and negotiates the version. */
  static async connect(socketPath: string, options: ClientOptions = {}): Promise<VfioUserClient> {
    const client = new VfioUserClient(socketPath, options);
    await client.negotiate();
    return client;
  }

  async negotiate(capabilities: Partial<Capabilities> = {}): Promise<Version> {
    const proposed = { ...defaultCapabilities, maxMessageDescriptors: 16, writeMultiple: true, ...capabilities };
    const payload = encodeVersion({ major: 0, minor: 0, capabilities: proposed });
    return decodeVersion((await this.request(Command.VERSION, payload)).payload);
  }

  /** Sends a command and waits for its reply; rejects with an ErrorReply when that is an error. */
  async request(command: number, payload?: Uint8Array, descriptors?: readonly number[]): Promise<ReplyMessage> {
    const id = this.#nextId++ & 0xffff;
    const reply = new Promise<ReplyMessage>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`no reply to ${commandName(command)} within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#pending.set(id, { command, resolve, reject, timer });
    });
    try {
      this.sendMessage({ id, command, payload, descriptors });
    } catch (error) {
      clearTimeout(this.#pending.get(id)?.timer);
      this.#pending.delete(id);
      throw error;
    }
    return reply;
  }

  /** Sends a command that wants no reply. */
  post(command: number, payload?: Uint8Array, descriptors?: readonly number[]): void {
    this.sendMessage({ id: this.#nextId++ & 0xffff, command, flags: HeaderFlag.NO_REPLY, payload, descriptors });
  }

  /** Sends a message with any header; `sizeBytes` defaults to the truth. */
  sendMessage(message: {
    id?: number;
    command: number;
    flags?: number;
    sizeBytes?: number;
    payload?: Uint8Array | undefined;
    descriptors?: readonly number[] | undefined;
  }): void {
    const payload = message.payload ?? new Uint8Array(0);
    const bytes = new Uint8Array(HEADER_BYTES + payload.length);
    const { id = 0, command, flags = HeaderFlag.TYPE_COMMAND, sizeBytes = bytes.length } = message;
    encodeHeader(new DataView(bytes.buffer), id, command, sizeBytes, flags);
    bytes.set(payload, HEADER_BYTES);
    this.sendRaw(bytes, message.descriptors);
  }

  sendRaw(bytes: Uint8Array, descriptors?: readonly number[]): void {
    this.#outbox.send(bytes, bytes.length, undefined, descriptors && Int32Array.from(descriptors));
    if (!this.#outbox.isEmpty) this.#poller.start(READABLE | WRITABLE);
  }

  async dmaMap(range: {
    iova: bigint;
    sizeBytes: bigint;
    fd?: number;
    offset?: bigint;
    writable?: boolean;
    readable?: boolean;
  }): Promise<void> {
    const payload = new Uint8Array(32);
    const view = new DataView(payload.buffer);
    view.setUint32(0, 32, true);
    view.setUint32(4, (range.readable === false ? 0 : 1) | (range.writable === false ? 0 : 2), true);
    view.setBigUint64(8, range.offset ?? 0n, true);
    view.setBigUint64(16, range.iova, true);
    view.setBigUint64(24, range.sizeBytes, true);
    await this.request(Command.DMA_MAP, payload, range.fd === undefined ? [] : [range.fd]);
  }

  async dmaUnmap(iova: bigint, sizeBytes: bigint, flags = 0): Promise<ReplyMessage> {
    const payload = new Uint8Array(24);
    const view = new DataView(payload.buffer);
    view.setUint32(0, 24, true);
    view.setUint32(4, flags, true);
    view.setBigUint64(8, iova, true);
    view.setBigUint64(16, sizeBytes, true);
    return this.request(Command.DMA_UNMAP, payload);
  }

  async deviceInfo(): Promise<{ flags: number; regions: number; irqs: number }> {
    const { payload } = await this.request(Command.DEVICE_GET_INFO, words(16, 0, 0, 0));
    const view = viewOf(payload);
    return { flags: view.getUint32(4, true), regions: view.getUint32(8, true), irqs: view.getUint32(12, true) };
  }

  /** The bytes of the reply; regionInfoOf decodes them. */
  regionInfo(index: number, argsz = 32): Promise<ReplyMessage> {
    return this.request(Command.DEVICE_GET_REGION_INFO, words(argsz, 0, index, 0, 0, 0, 0, 0));
  }

  async irqInfo(index: number): Promise<{ flags: number; count: number }> {
    const { payload } = await this.request(Command.DEVICE_GET_IRQ_INFO, words(16, 0, index, 0));
    return { flags: viewOf(payload).getUint32(4, true), count: viewOf(payload).getUint32(12, true) };
  }

  async setIrqs(
    index: number,
    start: number,
    count: number,
    action: 'mask' | 'unmask' | 'trigger',
    data: IrqData = { kind: 'none' },
  ): Promise<void> {
    const dataFlag = { none: IrqSetFlag.DATA_NONE, bool: IrqSetFlag.DATA_BOOL, eventfd: IrqSetFlag.DATA_EVENTFD }[
      data.kind
    ];
    const actionFlag = {
      mask: IrqSetFlag.ACTION_MASK,
      unmask: IrqSetFlag.ACTION_UNMASK,
      trigger: IrqSetFlag.ACTION_TRIGGER,
    }[action];
    const booleans = data.kind === 'bool' ? data.vectors.map(Number) : [];
    const payload = Buffer.concat([
      words(20 + booleans.length, dataFlag | actionFlag, index, start, count),
      Uint8Array.from(booleans),
    ]);
    await this.request(Command.DEVICE_SET_IRQS, payload, data.kind === 'eventfd' ? data.descriptors : []);
  }

  async regionRead(region: number, offset: number | bigint, sizeBytes: number): Promise<Uint8Array> {
    return (await this.request(Command.REGION_READ, accessOf(region, offset, sizeBytes))).payload.subarray(16);
  }

  async regionWrite(region: number, offset: number | bigint, data: Uint8Array): Promise<void> {
    await this.request(Command.REGION_WRITE, Buffer.concat([accessOf(region, offset, data.length), data]));
  }

  /** A write without reply, as QEMU sends nearly all of them. */
  postRegionWrite(region: number, offset: number | bigint, data: Uint8Array): void {
    this.post(Command.REGION_WRITE, Buffer.concat([accessOf(region, offset, data.length), data]));
  }

  async reset(): Promise<void> {
    await this.request(Command.DEVICE_RESET);
  }

  /** Leaves what the server sends unread, until `readOn`. */
  stopReading(): void {
    this.#poller.stop();
  }

  readOn(): void {
    this.#poller.start(this.#outbox.isEmpty ? READABLE : READABLE | WRITABLE);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.close();
    this.native.close(this.#fd);
    for (const { command, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(`the connection ended before the reply to ${commandName(command)}`));
    }
    this.#pending.clear();
    for (const fd of this.#reader.takeAllDescriptors()) this.native.close(fd);
    this.#announceClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #ready(events: number): void {
    try {
      if (events & WRITABLE && this.#outbox.flush()) this.#poller.start(READABLE);
      if (!(events & READABLE)) return;
      const reader = this.#reader;
      const got = this.native.receive(this.#fd, reader.bytes, reader.end, reader.bytes.length, this.#words, 0);
      if (got === WOULD_BLOCK) return;
      if (got === 0) return this.close();
      reader.received(got, Array.from(this.#words.subarray(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + this.#words[0]!)));
      while (!this.#closed && reader.next()) this.#take();
    } catch (error) {
      if (!('syscall' in (error as Error))) throw error;
      this.close();
    }
  }

  #take(): void {
    const { view, at, sizeBytes, bytes } = this.#reader;
    const { descriptors } = this.#reader.takeDescriptors();
    const id = view.getUint16(at + Header.ID, true);
    const flags = view.getUint32(at + Header.FLAGS, true);
    const payload = bytes.slice(at + HEADER_BYTES, at + sizeBytes);
    if (!isReply(flags)) return this.#answerDma(id, view.getUint16(at + Header.COMMAND, true), payload);
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.unexpectedReplies.push({ id, payload, descriptors });
      return;
    }
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (flags & HeaderFlag.ERROR)
      pending.reject(new ErrorReply(pending.command, view.getUint32(at + Header.ERROR, true)));
    else pending.resolve({ id, payload, descriptors });
  }

  #answerDma(id: number, command: number, payload: Uint8Array): void {
    const view = viewOf(payload);
    const iova = view.getBigUint64(0, true);
    const sizeBytes = Number(view.getBigUint64(8, true));
    this.dmaRequests.push({ id, command, iova, sizeBytes });
    if (this.memory === undefined) return;
    const answer =
      command === Command.DMA_READ ? this.memory.read(iova, sizeBytes) : this.memory.write(iova, payload.subarray(16));
    const errno = typeof answer === 'number' ? answer : 0;
    const data = typeof answer === 'number' ? new Uint8Array(0) : answer;
    const reply = new Uint8Array(HEADER_BYTES + (errno ? 0 : 16 + data.length));
    const flags = HeaderFlag.TYPE_REPLY | (errno ? HeaderFlag.ERROR : 0);
    encodeHeader(viewOf(reply), id, command, reply.length, flags, errno);
    if (!errno) {
      reply.set(payload.subarray(0, 16), HEADER_BYTES);
      reply.set(data, HEADER_BYTES + 16);
    }
    this.sendRaw(reply);
  }
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** 32-bit words, little-endian, as the bytes of a payload. */
export function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, i) => viewOf(bytes).setUint32(i * 4, value, true));
  return bytes;
}

export function accessOf(region: number, offset: number | bigint, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(16);
  viewOf(bytes).setBigUint64(0, BigInt(offset), true);
  viewOf(bytes).setUint32(8, region, true);
  viewOf(bytes).setUint32(12, sizeBytes, true);
  return bytes;
}
