/**
 * The file that a recording is written to. In ring mode there are two while the run goes on, each of half the size:
 * FILE, and FILE.earlier, which was FILE until it was full. Each can be read alone; they are joined when the recording
 * ends, and until then a reader of FILE reads both. So there is a valid trace on the disk at any moment.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { loadNative } from '../../emulator/native';
import { EventBlock } from './event-block';
import { encodeHeader, type Trace, type TraceHeader } from './format';

export const earlierPartOf = (path: string): string => `${path}.earlier`;
/** A new part, until it takes the place of FILE. */
const nextPartOf = (path: string): string => `${path}.next`;

/** A block of events, and how many there are. */
export interface Block {
  readonly bytes: Buffer;
  readonly count: number;
}

const COPY_BYTES = 1 << 20;

export class TraceFile {
  /** Undefined when it is closed. */
  #fd: number | undefined;
  #sizeBytes = 0;
  /** The size of the header and the events that are repeated at the beginning. */
  #prefaceBytes = 0;
  /** How many events of the recording have been written. */
  #events = 0;
  #hasEarlier = false;

  /**
   * @param partBytes in ring mode, the size at which a new part is begun
   * @throws what opening and writing the file throws
   */
  constructor(
    private readonly path: string,
    private readonly header: TraceHeader,
    private readonly partBytes = Infinity,
  ) {
    if (statSync(path, { throwIfNoEntry: false })?.isFIFO()) {
      throw new Error(`${path} is a FIFO: a recording is written to a file, and read from there`);
    }
    this.#fd = openSync(path, 'a');
    try {
      if (fstatSync(this.#fd).isFile()) {
        if (!lock(this.#fd))
          throw new Error(`${path} is being recorded to by another run: give each a file of its own`);
        ftruncateSync(this.#fd);
      } else if (partBytes < Infinity) {
        throw new Error(`${path} is not a regular file: the end of a recording can only be kept in one`);
      }
      rmSync(earlierPartOf(path), { force: true }); // left by a recording that was killed
      this.#write(encodeHeader(header));
    } catch (error) {
      this.#closeFile();
      throw error;
    }
  }

  /** How many events have been written, lost ones included. */
  get events(): number {
    return this.#events;
  }

  /** Whether a block of this size belongs in a new part. */
  isFullFor(bytes: number): boolean {
    return this.#sizeBytes + bytes > this.partBytes && this.#sizeBytes > this.#prefaceBytes;
  }

  append({ bytes, count }: Block): void {
    this.#write(bytes);
    this.#events += count;
  }

  /** Continues in a new part, which begins with `preface`. The present earlier part is lost. */
  beginPart(preface: Block): void {
    const next = nextPartOf(this.path);
    const fd = openSync(next, 'w');
    lock(fd);
    this.#closeFile();
    this.#fd = fd;
    this.#sizeBytes = 0;
    const { count } = preface;
    this.#write(encodeHeader({ ...this.header, lostEvents: this.#events - count, repeatedEvents: count }));
    this.#write(preface.bytes);
    this.#prefaceBytes = this.#sizeBytes;
    renameSync(this.path, earlierPartOf(this.path));
    renameSync(next, this.path);
    this.#hasEarlier = true;
  }

  close(): void {
    this.#closeFile();
    if (this.#hasEarlier) this.#join();
  }

  /** After an error: leaves on the disk what is there. */
  abandon(): void {
    rmSync(nextPartOf(this.path), { force: true });
    this.#closeFile();
  }

  #closeFile(): void {
    const fd = this.#fd;
    this.#fd = undefined; // closed, even when closing fails
    if (fd !== undefined) closeSync(fd);
  }

  /** While this goes on, or if it fails, events are in both parts; readers skip those that they have seen. */
  #join(): void {
    const earlier = earlierPartOf(this.path);
    const [from, to] = [openSync(this.path, 'r'), openSync(earlier, 'a')];
    try {
      const chunk = Buffer.allocUnsafe(COPY_BYTES);
      for (let at = this.#prefaceBytes, length; (length = readSync(from, chunk, 0, COPY_BYTES, at)) > 0; at += length) {
        writeAll(to, chunk.subarray(0, length));
      }
    } finally {
      closeSync(from);
      closeSync(to);
    }
    renameSync(earlier, this.path);
  }

  #write(bytes: Buffer): void {
    writeAll(this.#fd!, bytes);
    this.#sizeBytes += bytes.length;
  }
}

/** Held until the file is closed, or its process ends. True where the file system has no locks. */
function lock(fd: number): boolean {
  try {
    return loadNative().flock(fd, true);
  } catch {
    return true;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}

/** Events in a block, so that a reader need not hold all of a trace at once. */
const BLOCK_EVENTS = 512;

/** Writes a trace that is in memory, a part of another for instance; whether it has ended, its events say. */
export function writeTrace(path: string, { header, events }: Omit<Trace, 'isEnded'>): void {
  const block = new EventBlock();
  const parts: Buffer[] = [encodeHeader(header)];
  for (let at = 0; at < events.length; at += BLOCK_EVENTS) {
    for (const event of events.slice(at, at + BLOCK_EVENTS)) block.add(event, event.hostNs);
    parts.push(Buffer.from(block.take()));
  }
  writeFileSync(path, Buffer.concat(parts));
}
