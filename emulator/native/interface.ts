/**
 * Interface of the native part: system calls and readiness of descriptors. All policy is in TypeScript, in the layers
 * above.
 *
 * Two implementations pass the same contract tests (contract.ts): the addon (loaded by index.ts) and the fake
 * (fake.ts), which runs inside one process and makes no system calls.
 *
 * Failures are Errors with `code` ('EADDRINUSE'), `errno` (positive) and `syscall`. Wrong arguments are TypeErrors.
 */

/** Returned by receive, send and accept if they would have to wait. */
export const WOULD_BLOCK = -1;

/** Readiness bits that a poller is started with and reports. */
export const READABLE = 1;
export const WRITABLE = 2;

/** Layout of the array that `receive` fills: the number of descriptors, whether any were lost, then the descriptors. */
export const DESCRIPTOR_COUNT = 0;
export const DESCRIPTORS_LOST = 1;
export const FIRST_DESCRIPTOR = 2;

export interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/**
 * Readiness of one descriptor, level-triggered: the callback runs in every turn of the event loop while it is ready.
 */
export interface Poller {
  /** Starts polling for any of `events` (READABLE | WRITABLE). Replaces an earlier call. */
  start(events: number): void;
  stop(): void;
  /** Must be called before the descriptor is closed. A poller that is not closed is never freed. */
  close(): void;
  /** Whether a started poller keeps the process alive. It does, until unref. */
  ref(): void;
  unref(): void;
}

export interface Native {
  /** A listening UNIX stream socket at `path` (at most 107 bytes), which only this user can connect to. */
  listen(path: string, backlog: number): number;
  /** The next pending connection, or WOULD_BLOCK. */
  accept(listener: number): number;
  /** The number of the user whose process has connected the other end: unix(7), SO_PEERCRED. */
  peerUser(fd: number): number;
  connect(path: string): number;
  socketpair(): [number, number];

  /**
   * Receives into `buffer[start … end - 1]`. If there is nothing to receive, retries for up to `spinUs` microseconds.
   * Returns the number of bytes, 0 at the end of the stream, or WOULD_BLOCK. Passed descriptors (close-on-exec) go to
   * `descriptors`: [DESCRIPTOR_COUNT], [DESCRIPTORS_LOST] (1 if some did not fit), and from [FIRST_DESCRIPTOR] on. The
   * kernel ends a receive after the data that carried descriptors, so they belong to the last byte received.
   */
  receive(fd: number, buffer: Uint8Array, start: number, end: number, descriptors: Int32Array, spinUs: number): number;
  /**
   * Sends `buffer[start … end - 1]`, then `payload`, in one call. `descriptors` are passed with the first byte. Returns
   * the number of bytes sent, or WOULD_BLOCK.
   */
  send(
    fd: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    payload?: Uint8Array,
    descriptors?: Int32Array,
  ): number;

  /**
   * Maps a range of a file: at most 4 GiB, and at most 32768 ranges at a time. Without `writable`, stores into the
   * buffer are private to this process and do not reach the file. A range beyond the end of the file is refused; if the
   * file is truncated later, what is lost reads zero.
   */
  map(fd: number, offset: number, sizeBytes: number, writable: boolean): ArrayBuffer;
  /** Unmaps the pages. Every view of the buffer has length 0 afterwards. */
  unmap(mapped: ArrayBuffer): void;
  /**
   * Stores device number, inode number and size of the open file in `status`. The two numbers identify the file as long
   * as it is in use, whichever of its descriptors is asked.
   */
  fileStatus(fd: number, status: BigInt64Array): void;
  /** Anonymous shared memory, sealed: a process that it is passed to cannot change its size. */
  memfdCreate(name: string, sizeBytes: number): number;

  /** A blocking one, as a client may pass it: a peer that writes to a full one waits, unless it looks first. */
  eventfd(): number;
  isEventfd(fd: number): boolean;
  /** Adds 1. Does nothing if the counter is full: the reader has not seen the last event yet. Never blocks. */
  eventfdWrite(fd: number): void;
  /** Number of writes since the last read. Never blocks. */
  eventfdRead(fd: number): number;

  timerfd(): number;
  /** Expires once, `delayNs` from now. A negative delay disarms the timer. */
  timerfdSet(fd: number, delayNs: number): void;
  /** Number of expirations since the last read. Never blocks. */
  timerfdRead(fd: number): number;

  /**
   * Locks the open file; false if someone else holds the lock. Closing the descriptor, or the end of the process,
   * unlocks it.
   */
  flock(fd: number, exclusive: boolean): boolean;
  /** The first extent [start, end) of a file that holds data, at or after `offset`; undefined if there is none. */
  nextExtent(fd: number, offset: number): [start: number, end: number] | undefined;
  /** Another descriptor of the same open file. */
  duplicate(fd: number): number;
  close(fd: number): void;

  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
}
