/** What descriptors of the fake refer to: sockets, listeners, memory, counters. Each notifies its watchers of changes. */
import {
  FIRST_DESCRIPTOR,
  type NativeError,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from '../../../emulator/native/interface';

/** How much a socket accepts before it returns WOULD_BLOCK; about as on Linux. */
const SOCKET_BYTES = 208 * 1024;

export function failure(code: string, errno: number, syscall: string, detail: string): NativeError {
  return Object.assign(new Error(`${syscall} ${detail}: (${code})`), { code, errno, syscall });
}

/** Something behind a descriptor. It is closed when the last descriptor that refers to it is. */
export abstract class FakeFile {
  references = 0;
  readonly watchers = new Set<() => void>();

  /** READABLE and WRITABLE as they are now. */
  abstract readiness(): number;
  close(): void {}

  changed(): void {
    for (const watcher of this.watchers) watcher();
  }
}

interface Piece {
  bytes: Uint8Array;
  files: FakeFile[];
}

export class FakeSocket extends FakeFile {
  peer: FakeSocket | undefined;
  readonly #pieces: Piece[] = [];
  #queuedBytes = 0;

  readiness(): number {
    const readable = this.#pieces.length > 0 || this.peer === undefined;
    const writable = this.peer === undefined || this.peer.#queuedBytes < SOCKET_BYTES;
    return (readable ? READABLE : 0) | (writable ? WRITABLE : 0);
  }

  send(bytes: Uint8Array, files: FakeFile[]): number {
    const { peer } = this;
    if (peer === undefined) throw failure('EPIPE', 32, 'sendmsg', 'to a closed socket');
    const taken = Math.min(bytes.length, SOCKET_BYTES - peer.#queuedBytes);
    if (taken <= 0) return WOULD_BLOCK;
    for (const file of files) file.references++;
    peer.#pieces.push({ bytes: bytes.slice(0, taken), files });
    peer.#queuedBytes += taken;
    peer.changed();
    return taken;
  }

  /** Stops after a piece that carries descriptors, as the kernel does. */
  receive(into: Uint8Array, install: (files: readonly FakeFile[]) => void): number {
    let got = 0;
    for (let piece = this.#pieces[0]; piece !== undefined && got < into.length; piece = this.#pieces[0]) {
      const part = piece.bytes.subarray(0, into.length - got);
      into.set(part, got);
      got += part.length;
      const carried = piece.files;
      piece.files = [];
      piece.bytes = piece.bytes.subarray(part.length);
      if (piece.bytes.length === 0) this.#pieces.shift();
      if (carried.length > 0) {
        install(carried);
        break;
      }
    }
    this.#queuedBytes -= got;
    if (got > 0) this.peer?.changed();
    return got > 0 || this.peer === undefined ? got : WOULD_BLOCK;
  }

  override close(): void {
    for (const { files } of this.#pieces) for (const file of files) release(file);
    this.#pieces.length = 0;
    const { peer } = this;
    this.peer = undefined;
    if (peer) peer.peer = undefined;
    peer?.changed();
  }
}

export function socketPair(): [FakeSocket, FakeSocket] {
  const pair: [FakeSocket, FakeSocket] = [new FakeSocket(), new FakeSocket()];
  pair[0].peer = pair[1];
  pair[1].peer = pair[0];
  return pair;
}

export class FakeListener extends FakeFile {
  readonly waiting: FakeSocket[] = [];

  constructor(
    readonly backlog: number,
    private readonly forget: () => void,
  ) {
    super();
  }

  readiness(): number {
    return this.waiting.length > 0 ? READABLE : 0;
  }

  override close(): void {
    this.forget();
    for (const socket of this.waiting) socket.close();
  }
}

let lastIdentity = 0;

/** A file in memory, or one that exists only to be locked. */
export class FakeMemory extends FakeFile {
  readonly identity = ++lastIdentity;
  readonly #mapped = new Map<string, { buffer: ArrayBuffer; count: number; offset: number }>();
  readonly #bytes: Uint8Array;

  constructor(sizeBytes: number) {
    super();
    this.#bytes = new Uint8Array(sizeBytes);
  }

  readiness(): number {
    return READABLE | WRITABLE;
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /**
   * JavaScript cannot show the same bytes through two ArrayBuffers, so mapping a range again gives the buffer that it
   * has already, and ranges that overlap without being the same are refused.
   */
  map(offset: number, sizeBytes: number, writable: boolean): ArrayBuffer {
    if (sizeBytes < 1 || offset + sizeBytes > this.#bytes.length) {
      const detail = `of ${sizeBytes} bytes at offset ${offset}, beyond the end of the file, which has ${this.#bytes.length} bytes`;
      throw failure('EINVAL', 22, 'mmap', detail);
    }
    if (!writable) return this.#content(offset, sizeBytes);
    const key = `${offset}+${sizeBytes}`;
    const same = this.#mapped.get(key);
    if (same) {
      same.count++;
      return same.buffer;
    }
    for (const { buffer, offset: other } of this.#mapped.values()) {
      if (offset < other + buffer.byteLength && other < offset + sizeBytes) {
        throw failure('EOPNOTSUPP', 95, 'mmap', 'of a range that overlaps another one, which the fake cannot do');
      }
    }
    const buffer = this.#content(offset, sizeBytes);
    this.#mapped.set(key, { buffer, count: 1, offset });
    return buffer;
  }

  /** True when the buffer was one of this file's. */
  unmap(buffer: ArrayBuffer): boolean {
    for (const [key, entry] of this.#mapped) {
      if (entry.buffer !== buffer) continue;
      if (--entry.count > 0) return true;
      this.#mapped.delete(key);
      this.#bytes.set(new Uint8Array(buffer), entry.offset);
      return true;
    }
    return false;
  }

  isMapped(buffer: ArrayBuffer): boolean {
    return [...this.#mapped.values()].some((entry) => entry.buffer === buffer);
  }

  #content(offset: number, sizeBytes: number): ArrayBuffer {
    const content = this.#bytes.slice(offset, offset + sizeBytes);
    for (const { buffer, offset: other } of this.#mapped.values()) {
      const from = Math.max(offset, other);
      const to = Math.min(offset + sizeBytes, other + buffer.byteLength);
      if (from < to) content.set(new Uint8Array(buffer, from - other, to - from), from - offset);
    }
    return content.buffer;
  }
}

/** An eventfd, or a timerfd when it has a timer. */
export class FakeCounter extends FakeFile {
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly isEventfd: boolean) {
    super();
  }

  readiness(): number {
    return (this.#count > 0 ? READABLE : 0) | WRITABLE;
  }

  add(): void {
    this.#count++;
    this.changed();
  }

  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  arm(delayNs: number): void {
    clearTimeout(this.#timer);
    if (delayNs >= 0) this.#timer = setTimeout(() => this.add(), delayNs / 1e6);
  }

  override close(): void {
    clearTimeout(this.#timer);
  }
}

export function release(file: FakeFile): void {
  if (--file.references === 0) file.close();
}

/** Puts the numbers of received descriptors where `receive` reports them; those without room are closed. */
export function report(words: Int32Array, numbers: readonly number[], close: (fd: number) => void): void {
  const room = words.length - FIRST_DESCRIPTOR;
  words.set(numbers.slice(0, room), FIRST_DESCRIPTOR);
  for (const fd of numbers.slice(room)) close(fd);
  words[0] = Math.min(numbers.length, room);
  words[1] = numbers.length > room ? 1 : 0;
}
