/**
 * The native interface without an operating system, for unit tests of what is built on it. It passes the same contract
 * tests as the addon (contract.ts).
 */
import {
  failure,
  FakeCounter,
  type FakeFile,
  FakeListener,
  FakeMemory,
  type FakeSocket,
  release,
  report,
  socketPair,
} from './fake-files';
import { type Native, type Poller, WOULD_BLOCK } from '../../../emulator/native/interface';

const PATH_BYTES = 107;

export class FakeNative implements Native {
  readonly #files = new Map<number, FakeFile>();
  readonly #listeners = new Map<string, FakeListener>();
  readonly #named = new Map<string, FakeMemory>();
  readonly #mapped = new Map<ArrayBuffer, FakeMemory | undefined>();
  readonly #locks = new Map<FakeMemory, Map<number, boolean>>();
  #nextFd = 1000;

  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;

  constructor() {
    const get = (fd: number): FakeFile => this.#file(fd, 'uv_poll_init');
    this.Poller = class extends FakePoller {
      constructor(fd: number, callback: (events: number) => void) {
        super(get(fd), callback);
      }
    };
  }

  /** How many descriptors are open: for leak checks. */
  get openDescriptors(): number {
    return this.#files.size;
  }

  /** Opens a named file that exists only to be locked; each call is a new descriptor. */
  openFile(name: string): number {
    const file = this.#named.get(name) ?? new FakeMemory(0);
    this.#named.set(name, file);
    return this.#install(file);
  }

  listen(path: string, backlog: number): number {
    checkPath(path);
    if (this.#listeners.has(path)) throw failure('EADDRINUSE', 98, 'bind', path);
    const listener = new FakeListener(backlog, () => this.#listeners.delete(path));
    this.#listeners.set(path, listener);
    return this.#install(listener);
  }

  accept(listener: number): number {
    const file = this.#file(listener, 'accept4');
    if (!(file instanceof FakeListener)) throw failure('EINVAL', 22, 'accept4', 'on a descriptor that does not listen');
    const socket = file.waiting.shift();
    return socket ? this.#install(socket) : WOULD_BLOCK;
  }

  peerUser(fd: number): number {
    this.#socket(fd, 'getsockopt');
    return process.getuid!();
  }

  connect(path: string): number {
    checkPath(path);
    const listener = this.#listeners.get(path);
    if (!listener) throw failure('ENOENT', 2, 'connect', path);
    if (listener.waiting.length > listener.backlog) throw failure('EAGAIN', 11, 'connect', path);
    const [mine, theirs] = socketPair();
    listener.waiting.push(theirs);
    listener.changed();
    return this.#install(mine);
  }

  socketpair(): [number, number] {
    const [one, other] = socketPair();
    return [this.#install(one), this.#install(other)];
  }

  receive(
    fd: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    descriptors: Int32Array,
    _spinUs: number,
  ): number {
    if (!(start >= 0 && start < end && end <= buffer.length) || descriptors.length < 2) {
      throw new TypeError('receive needs 0 <= start < end <= buffer.length and at least 2 descriptor words');
    }
    descriptors[0] = descriptors[1] = 0;
    return this.#socket(fd, 'recvmsg').receive(buffer.subarray(start, end), (files) => {
      const numbers = files.map((file) => this.#install(file, true));
      report(descriptors, numbers, (surplus) => this.close(surplus));
    });
  }

  send(
    fd: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    payload?: Uint8Array,
    descriptors?: Int32Array,
  ): number {
    if (!(start >= 0 && start <= end && end <= buffer.length)) {
      throw new TypeError('send needs 0 <= start <= end <= buffer.length and at most 253 descriptors');
    }
    const bytes = Buffer.concat([buffer.subarray(start, end), payload ?? new Uint8Array(0)]);
    const files = Array.from(descriptors ?? [], (passed) => this.#file(passed, 'sendmsg'));
    return this.#socket(fd, 'sendmsg').send(bytes, files);
  }

  map(fd: number, offset: number, sizeBytes: number, writable: boolean): ArrayBuffer {
    const file = this.#file(fd, 'mmap');
    if (!(file instanceof FakeMemory)) throw failure('ENODEV', 19, 'mmap', 'of a descriptor that is not a file');
    const buffer = file.map(offset, sizeBytes, writable);
    this.#mapped.set(buffer, writable ? file : undefined);
    return buffer;
  }

  fileStatus(fd: number, status: BigInt64Array): void {
    const file = this.#file(fd, 'fstat');
    if (!(file instanceof FakeMemory)) throw failure('ENODEV', 19, 'fstat', 'of a descriptor that is not a file');
    status.set([0n, BigInt(file.identity), BigInt(file.sizeBytes)]);
  }

  unmap(mapped: ArrayBuffer): void {
    if (!this.#mapped.has(mapped))
      throw new TypeError('unmap needs an ArrayBuffer that map() returned and that is still mapped');
    const file = this.#mapped.get(mapped);
    file?.unmap(mapped);
    if (file?.isMapped(mapped)) return;
    this.#mapped.delete(mapped);
    structuredClone(mapped, { transfer: [mapped] });
  }

  memfdCreate(_name: string, sizeBytes: number): number {
    return this.#install(new FakeMemory(sizeBytes));
  }

  eventfd(): number {
    return this.#install(new FakeCounter(true));
  }

  isEventfd(fd: number): boolean {
    const file = this.#files.get(fd);
    return file instanceof FakeCounter && file.isEventfd;
  }

  eventfdWrite(fd: number): void {
    this.#counter(fd, 'write').add();
  }

  eventfdRead(fd: number): number {
    return this.#counter(fd, 'read').take();
  }

  timerfd(): number {
    return this.#install(new FakeCounter(false));
  }

  timerfdSet(fd: number, delayNs: number): void {
    this.#counter(fd, 'timerfd_settime').arm(delayNs);
  }

  timerfdRead(fd: number): number {
    return this.#counter(fd, 'read').take();
  }

  flock(fd: number, exclusive: boolean): boolean {
    const file = this.#file(fd, 'flock');
    if (!(file instanceof FakeMemory)) throw failure('EINVAL', 22, 'flock', 'of a descriptor that is not a file');
    const holders = this.#locks.get(file) ?? new Map<number, boolean>();
    for (const [holder, isExclusive] of holders) if (holder !== fd && (exclusive || isExclusive)) return false;
    this.#locks.set(file, holders.set(fd, exclusive));
    return true;
  }

  nextExtent(fd: number, offset: number): [number, number] | undefined {
    const file = this.#file(fd, 'lseek');
    if (!(file instanceof FakeMemory)) throw failure('EINVAL', 22, 'lseek', 'of a descriptor that is not a file');
    return offset < file.sizeBytes ? [offset, file.sizeBytes] : undefined;
  }

  duplicate(fd: number): number {
    return this.#install(this.#file(fd, 'fcntl'));
  }

  close(fd: number): void {
    const file = this.#file(fd, 'close');
    this.#files.delete(fd);
    if (file instanceof FakeMemory) this.#locks.get(file)?.delete(fd);
    release(file);
  }

  #install(file: FakeFile, alreadyCounted = false): number {
    if (!alreadyCounted) file.references++;
    this.#files.set(this.#nextFd, file);
    return this.#nextFd++;
  }

  #file(fd: number, syscall: string): FakeFile {
    const file = this.#files.get(fd);
    if (file) return file;
    throw failure('EBADF', 9, syscall, `of descriptor ${fd}`);
  }

  #socket(fd: number, syscall: string): FakeSocket {
    const file = this.#file(fd, syscall);
    if ('send' in file) return file as FakeSocket;
    throw failure('ENOTSOCK', 88, syscall, `of descriptor ${fd}`);
  }

  #counter(fd: number, syscall: string): FakeCounter {
    const file = this.#file(fd, syscall);
    if (file instanceof FakeCounter) return file;
    throw failure('EINVAL', 22, syscall, `of descriptor ${fd}`);
  }
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES) {
    throw new TypeError(`the path of a UNIX socket must be at most ${PATH_BYTES} bytes long; it has ${bytes} bytes`);
  }
}

/** Calls back once a turn of the event loop for as long as the file is ready, like uv_poll. */
class FakePoller implements Poller {
  #events = 0;
  #immediate: NodeJS.Immediate | undefined;
  #closed = false;
  readonly #watch = (): void => this.#arrange();

  constructor(
    private readonly file: FakeFile,
    private readonly callback: (events: number) => void,
  ) {
    file.watchers.add(this.#watch);
  }

  start(events: number): void {
    if (this.#closed) throw failure('EBADF', 9, 'uv_poll_start', 'on a closed Poller');
    this.#events = events;
    this.#arrange();
  }

  stop(): void {
    this.#events = 0;
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  close(): void {
    this.stop();
    this.#closed = true;
    this.file.watchers.delete(this.#watch);
  }

  ref(): void {}
  unref(): void {}

  #arrange(): void {
    if (this.#immediate !== undefined || (this.#events & this.file.readiness()) === 0) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      const ready = this.#events & this.file.readiness();
      if (ready !== 0) this.callback(ready);
      if (!this.#closed) this.#arrange();
    });
  }
}
