/**
 * One file of a trace: its header, then its events, up to where it has been written. The file may be cut off, still being
 * written, or damaged: what is not an event is skipped up to the next one, and a notice takes its place.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type TraceEvent } from './event';
import {
  beginsEvent,
  eventOf,
  headerOf,
  mayBeEvent,
  type ReadEvent,
  TraceFormatError,
  type TraceHeader,
} from './format';
import { TRACE_EVENT_KINDS } from './kinds';
import { DamagedValue, UnfinishedValue, ValueReader } from './msgpack-values';
import { printable } from './printable';
import { wordBytes } from './wording';

const CHUNK_BYTES = 1 << 20;
/** An `array 32` and how many events there are. */
const HEAD_BYTES = 5;
const ARRAY_32 = 0xdd;
/** The least bytes of an event. */
const LEAST_EVENT_BYTES = 5;
/** How much is read in vain in search of the next event: beyond that, what looked like one is skipped as a whole. */
const MOST_IN_VAIN = 64 << 20;

export class TracePart implements Disposable {
  readonly header: TraceHeader;
  /** Identifies the file, whatever its name is by now. */
  readonly inode: number;
  /** What is damaged, as far as it has been read. */
  readonly damage: string[] = [];
  /** The number in this file of the event that was read last, from 0 on; lost ones are counted. */
  at = -1;
  /** How many events of blocks with damage were skipped unseen. */
  lost = 0;
  /** What was read last is a notice beside the event before it. */
  isAdded = false;
  readonly #fd: number;
  /** What has been read of the file, from its byte `#start` on. */
  #values = new ValueReader(Buffer.alloc(0));
  #start = 0;
  /** How many events of the present block are left; undefined when that is not known. */
  #left: number | undefined = 0;
  /** Bytes of the block that were skipped. */
  #skipped = 0;
  /** Of the event before. */
  #hostNs = 0;
  /** Follows the damaged card that has been read last. */
  #pending: TraceEvent | undefined;
  /** The size of the file when all of it had been read that is whole. */
  #doneAt = -1;

  /** @throws TraceFormatError when the file is not a trace; what opening it throws */
  constructor(private readonly path: string) {
    this.#fd = openSync(path, 'r');
    try {
      this.inode = fstatSync(this.#fd).ino;
      const { header, problems } = headerOf(this.#value(), path);
      this.header = header;
      if (problems.length > 0) this.damage.push(`the header: ${problems.join('; ')}`);
    } catch (error) {
      closeSync(this.#fd);
      throw isOfFile(error) ? new TraceFormatError(`${path} is not a ghostcard trace: ${error.message}`) : error;
    }
  }

  /** The events that have not been read yet, up to the present end of the file. */
  *events(): Generator<TraceEvent> {
    for (let event; (event = this.#next()) !== undefined;) yield event;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #next(): TraceEvent | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    this.isAdded = pending !== undefined;
    if (pending) return pending;
    if (this.#doneAt >= 0 && this.#doneAt === this.#size) return undefined;
    this.#doneAt = -1;
    for (;;) {
      const { at, bytes } = this.#values;
      if (bytes.length - at < LEAST_EVENT_BYTES && !this.#readOn(LEAST_EVENT_BYTES) && bytes.length === at) {
        return this.#done();
      }
      const begin = this.#values.at;
      try {
        if (this.#isBlock()) this.#beginBlock();
        else return this.#event();
      } catch (error) {
        if (!isOfFile(error)) throw error;
        this.#values.moveTo(begin);
        if (error instanceof UnfinishedValue && this.#readOn(error.end - begin)) continue;
        const notice = this.#skip(error);
        return notice ?? this.#done();
      }
    }
  }

  #done(): undefined {
    this.#doneAt = this.#size;
    return undefined;
  }

  /** A value, of which more may have to be read. */
  #value(): unknown {
    for (;;) {
      const begin = this.#values.at;
      try {
        return this.#values.next();
      } catch (error) {
        this.#values.moveTo(begin);
        if (!(error instanceof UnfinishedValue) || !this.#readOn(error.end - begin)) throw error;
      }
    }
  }

  #isBlock(): boolean {
    const { bytes, at } = this.#values;
    const head = bytes[at]!;
    // Any array of arrays: not all that wrote traces has written an `array 32`.
    return head === ARRAY_32 || head === 0xdc || ((head & 0xf0) === 0x90 && mayBeEvent(bytes[at + 1] ?? 0));
  }

  #beginBlock(): void {
    const { bytes, at } = this.#values;
    const [size, count] = headOf(bytes, at);
    if (bytes.length < at + size) throw new UnfinishedValue(at + size);
    const left = this.#left ?? 0;
    // What was skipped held so many events at most.
    const lost = Math.min(left, Math.floor(this.#skipped / LEAST_EVENT_BYTES));
    this.at += lost;
    this.lost += lost;
    const missing = this.#skipped === 0 ? left : 0;
    this.#left = count;
    this.#skipped = 0;
    this.#values.moveTo(at + size);
    if (missing > 0) this.#noteDamage(this.at + 1, at, `the block of events before it should have ${missing} more`);
  }

  #event(): TraceEvent {
    const { at, bytes } = this.#values;
    if (!mayBeEvent(bytes[at]!)) {
      throw new DamagedValue(`an event or a block of events should be here, not ${bytes.toString('hex', at, at + 4)}`);
    }
    const read = eventOf(this.#values.next() as unknown[]);
    const { event, kind, problems, mayHoldOthers } = read;
    // The end is where it should be, or the sizes of its values are wrong.
    if (problems.length > 0 && (mayHoldOthers || !this.#isPlausible())) throw new DamagedEvent(read);
    this.at++;
    if (this.#left !== undefined && this.#left-- === 0) {
      this.#left = undefined;
      this.#noteDamage(this.at, at, 'its block should have ended before it');
    }
    if (event) this.#hostNs = event.hostNs;
    if (problems.length === 0) return event!;
    return this.#leave(event, this.#wordEvent(kind, at, problems.join('; ')));
  }

  /** Returns what is left of a damaged event, which a notice follows, or the notice. */
  #leave(event: TraceEvent | undefined, words: string): TraceEvent {
    const notice = this.#notice(words, event);
    if (event === undefined) return notice;
    this.#pending = notice;
    return event;
  }

  /** Whether the next value is an event or a block, as far as its beginning says. */
  #isPlausible(): boolean {
    const { at, bytes } = this.#values;
    if (bytes.length - at < 2) return true;
    const isHead = bytes[at] === ARRAY_32 && bytes[at + 1]! < 0x10;
    return isHead || beginsEvent(bytes[at]!, bytes[at + 1]!);
  }

  /**
   * Goes on to the next event or block, and returns what is left of the event that was skipped, or a notice of it. Where
   * there is none before the end of the file, the event that is not finished yet is read when it is; undefined: nothing
   * else was skipped.
   */
  #skip(problem: DamagedValue | UnfinishedValue): TraceEvent | undefined {
    const from = this.#start + this.#values.at;
    let unfinished = problem instanceof UnfinishedValue ? from : undefined;
    const first = this.#values.bytes.subarray(this.#values.at, this.#values.at + 2);
    let inVain = 0;
    let isFound = false;
    this.#values.moveTo(this.#values.at + 1);
    for (;;) {
      const { bytes, at: begin } = this.#values;
      if (bytes.length - begin < HEAD_BYTES + 2 && !this.#readOn(HEAD_BYTES + 2) && begin >= bytes.length) break;
      const { at } = this.#values;
      try {
        if (this.#isFoundHere()) {
          this.#values.moveTo(at);
          isFound = true;
          break;
        }
      } catch (error) {
        if (!isOfFile(error)) throw error;
        if (error instanceof UnfinishedValue) {
          const end = error.end - at;
          this.#values.moveTo(at);
          if (this.#readOn(end)) continue;
          unfinished ??= this.#start + at;
        }
      }
      inVain += this.#values.at - at;
      this.#values.moveTo(inVain > MOST_IN_VAIN ? Math.max(this.#values.at, at + 1) : at + 1);
    }
    if (!isFound && unfinished !== undefined) this.#goTo(unfinished);
    const sizeBytes = this.#start + this.#values.at - from;
    if (sizeBytes === 0) return undefined;
    this.#skipped += sizeBytes;
    this.at++;
    this.#left = this.#left ? this.#left - 1 : undefined;
    const isEvent = first.length === 2 && mayBeEvent(first[0]!);
    const kind = isEvent ? TRACE_EVENT_KINDS[first[1]!] : undefined;
    const words = `${this.#wordEvent(kind, from - this.#start, problem.message)}; ${wordBytes(sizeBytes)} are skipped`;
    const left = problem instanceof DamagedEvent ? problem.read.event : undefined;
    return this.#leave(left, words);
  }

  /** Whether what comes next is a block or an event, beyond doubt. Moves behind it. */
  #isFoundHere(): boolean {
    const { bytes, at } = this.#values;
    const head = bytes[at]!;
    if (head === ARRAY_32) return at + HEAD_BYTES + 2 <= bytes.length && beginsEvent(bytes[at + 5]!, bytes[at + 6]!);
    if (!mayBeEvent(head) || !beginsEvent(head, bytes[at + 1] ?? 0xff)) return false;
    const { event, problems } = eventOf(this.#values.next() as unknown[]);
    return problems.length === 0 && event!.hostNs >= this.#hostNs && this.#isPlausible();
  }

  #goTo(place: number): void {
    if (place >= this.#start) return this.#values.moveTo(place - this.#start);
    this.#values = new ValueReader(Buffer.alloc(0));
    this.#start = place;
  }

  /** `event 163 (dma-read), at byte 4711: iova is nil, and should be …` */
  #wordEvent(kind: string | undefined, at: number, problem: string): string {
    const number = this.header.lostEvents + this.at + 1;
    return `event ${number}${kind === undefined ? '' : ` (${kind})`}, at byte ${this.#start + at}: ${problem}`;
  }

  /** Damage by which nothing is lost. */
  #noteDamage(event: number, at: number, problem: string): void {
    this.damage.push(`event ${this.header.lostEvents + event + 1}, at byte ${this.#start + at}: ${problem}`);
  }

  #notice(text: string, { card, timeNs }: { card: number; timeNs: number } = { card: 0, timeNs: 0 }): TraceEvent {
    const said = printable(text);
    this.damage.push(said);
    return { kind: 'notice', card, timeNs, hostNs: this.#hostNs, text: `the recording is damaged here: ${said}` };
  }

  get #size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Reads so much of the file that `needed` bytes follow the present place; false when it does not have them. */
  #readOn(needed: number): boolean {
    const { bytes, at } = this.#values;
    const rest = bytes.subarray(at);
    const place = this.#start + bytes.length;
    const available = this.#size - place;
    if (rest.length + available < needed || available <= 0) return rest.length >= needed;
    const more = Math.min(available, Math.max(CHUNK_BYTES, needed - rest.length));
    const joined = Buffer.allocUnsafe(rest.length + more);
    rest.copy(joined);
    let length = rest.length;
    while (length < joined.length) {
      const read = readSync(this.#fd, joined, length, joined.length - length, place + length - rest.length);
      if (read === 0) break; // it has become shorter
      length += read;
    }
    this.#start += at;
    this.#values = new ValueReader(joined.subarray(0, length));
    return length >= needed;
  }
}

/** The event was read, and is damaged. */
class DamagedEvent extends DamagedValue {
  constructor(readonly read: ReadEvent) {
    super(read.problems.join('; '));
  }
}

const isOfFile = (error: unknown): error is DamagedValue | UnfinishedValue =>
  error instanceof DamagedValue || error instanceof UnfinishedValue;

/** Of a block: how many bytes its head has, and how many events it should have. */
function headOf(bytes: Buffer, at: number): [sizeBytes: number, count: number] {
  const head = bytes[at]!;
  if (head === ARRAY_32) return [HEAD_BYTES, bytes.length < at + HEAD_BYTES ? 0 : bytes.readUInt32BE(at + 1)];
  if (head === 0xdc) return [3, bytes.length < at + 3 ? 0 : bytes.readUInt16BE(at + 1)];
  return [1, head & 0xf];
}
