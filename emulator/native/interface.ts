/**
 * What the native part does: system calls and readiness, nothing else. All policy is in TypeScript above it.
 *
 * Two implementations pass the same contract tests (contract.ts): the addon (index.ts loads it) and the fake (fake.ts),
 * which lives in one process and needs no operating system.
 *
 * Failures are Errors with `code` ('EADDRINUSE'), `errno` (positive) and `syscall`; wrong arguments are TypeErrors.
 */

/** Returned by receive, send and accept instead of waiting. */
export const WOULD_BLOCK = -1;

/** Bits of the readiness that a poller is asked for and reports. */
export const READABLE = 1;
export const WRITABLE = 2;

/** Words of the array that `receive` fills before the descriptors themselves: their number, and whether any were lost. */
export const DESCRIPTOR_COUNT = 0;
export const DESCRIPTORS_LOST = 1;
export const FIRST_DESCRIPTOR = 2;

export interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** Readiness of one descriptor, level-triggered: called in every turn of the event loop while it lasts. */
export interface Poller {
  /** Calls back when any of `events` (READABLE | WRITABLE) is there; replaces what was asked before. */
  start(events: number): void;
  stop(): void;
  /** Must be called before the descriptor is closed. A poller that is never closed is never freed. */
  close(): void;
  /** Whether it keeps the process alive while started (it does, until unref). */
  ref(): void;
  unref(): void;
}

export interface FileStatus {
  readonly identity: string;
  readonly sizeBytes: number;
}

export interface Native {
  /** A listening UNIX stream socket at `path` (at most 107 bytes). */
  listen(path: string, backlog: number): number;
  /** The next waiting connection, or WOULD_BLOCK. */
  accept(listener: number): number;
  connect(path: string): number;
  socketpair(): [number, number];

  /**
   * Receives into `buffer[start … end - 1]`; while nothing is there, asks again for up to `spinUs` microseconds.
   * Returns the number of bytes, 0 at the end of the stream, or WOULD_BLOCK. Passed descriptors (close-on-exec) go to
   * `descriptors`: [DESCRIPTOR_COUNT], [DESCRIPTORS_LOST] (1 when some had no room), and from [FIRST_DESCRIPTOR] on.
   * The kernel ends a receive behind the piece that carried descriptors, so they belong to the last byte received.
   */
  receive(fd: number, buffer: Uint8Array, start: number, end: number, descriptors: Int32Array, spinUs: number): number;
  /**
   * Sends `buffer[start … end - 1]`, then `payload`, in one call; `descriptors` go with the first byte.
   * Returns how many bytes were taken, or WOULD_BLOCK.
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
   * Maps a range of a file, at most 4 GiB, and at most 32768 ranges at a time. Without `writable`, stores into the
   * buffer stay private to this process and do not reach the file. Ranges that the file does not have are refused;
   * should it be cut short later, the lost pages read zero.
   */
  map(fd: number, offset: number, sizeBytes: number, writable: boolean): ArrayBuffer;
  /** Gives the pages back. Every view of the buffer has length 0 from here on. */
  unmap(mapped: ArrayBuffer): void;
  /** Which file is open there: two descriptors of one file have the same identity, as long as it is in use. */
  fileStatus(fd: number): FileStatus;
  /** Anonymous shared memory of a fixed size, which no one it is passed to can change. */
  memfdCreate(name: string, sizeBytes: number): number;

  eventfd(): number;
  isEventfd(fd: number): boolean;
  /** Adds 1. Does nothing when the counter is full: the event is then still to be seen. Never waits. */
  eventfdWrite(fd: number): void;
  /** How often it was written since the last read. Never waits. */
  eventfdRead(fd: number): number;

  timerfd(): number;
  /** Expires once, `delayNs` from now; a negative delay disarms. */
  timerfdSet(fd: number, delayNs: number): void;
  /** How often it expired since the last read. Never waits. */
  timerfdRead(fd: number): number;

  /** Locks the open file; false when someone else holds it. Closing the descriptor, or dying, unlocks. */
  flock(fd: number, exclusive: boolean): boolean;
  /** The first extent [start, end) of a file that holds data, at or after `offset`; undefined: only a hole is left. */
  nextExtent(fd: number, offset: number): [start: number, end: number] | undefined;
  close(fd: number): void;

  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
}
