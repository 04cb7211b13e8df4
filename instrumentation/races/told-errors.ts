/**
 * Errors that a card writes to memory, by the fields with the role `error` in its declared layouts, and whether anybody has
 * loaded them there. A card may tell one error in several places: a driver that has looked at one kind of them need not look
 * at the others.
 */
import { type DmaInitiator, type DmaRole } from '../../emulator/memory';
import { type CardEvent, type DmaLayout, type PciCard, type WordLayout } from '../../emulator/pci';
import { type MemoryError, type MemoryErrors } from '../checks';
import { bitMask } from '../../emulator/registers/register-layout';
import { type LookedAfter, physicalRanges, type SharedFile } from '../observer';
import { decodeStructures, fieldsOf } from '../trace';

interface Told extends MemoryError {
  readonly lookedAfter: LookedAfter;
  /** How often the driver had accessed the card by then. */
  readonly accesses: number;
}

/** Where a driver has read an error of a channel. */
type Place = DmaRole | 'register';

export class ToldErrors implements MemoryErrors {
  #told: Told[] = [];
  #accesses = 0;
  /** By channel; '': of all. */
  readonly #read = new Map<string, Set<Place>>();
  /** The errors that the last write to an address has told. */
  readonly #known = new Map<number, bigint>();
  #layouts: ReadonlyMap<string, LayoutWithErrors> | undefined;

  constructor(
    private readonly card: PciCard,
    private readonly file: SharedFile,
  ) {}

  take({ kind }: CardEvent): void {
    if (kind === 'read' || kind === 'write') this.#accesses++;
  }

  /** The card is about to write there. */
  write({ channel, role }: DmaInitiator, iova: number, data: Uint8Array): void {
    const layout = (this.#layouts ??= layoutsOf(this.card)).get(keyOf(channel, role));
    if (layout === undefined) return;
    for (const { start, words } of decodeStructures(layout.whole, iova, data)) {
      for (const { layout: word, value } of words) {
        const at = iova + start + word.offset;
        const errors = value & layout.errors.get(word)!;
        const isNew = (errors & ~(this.#known.get(at) ?? 0n)) !== 0n;
        if (errors === 0n) this.#known.delete(at);
        else this.#known.set(at, errors);
        if (!isNew) continue;
        this.#settle();
        const [memory] = physicalRanges(this.card, this.file.machine, at, word.width / 8);
        const lookedAfter = memory && this.file.lookAfter(memory.address, memory.sizeBytes);
        if (lookedAfter === undefined) continue;
        const text = `${word.name} 0x${value.toString(16)}${fieldsOf(word, value)}`;
        const timeNs = this.card.inspection.now();
        this.#told.push({ channel, role, iova: at, word: text, timeNs, lookedAfter, accesses: this.#accesses });
      }
    }
  }

  unread(): readonly MemoryError[] {
    this.#settle();
    const unread = this.#told.filter(({ accesses }) => accesses < this.#accesses);
    return unread.filter(({ channel }, index) => unread.findIndex((each) => each.channel === channel) === index);
  }

  readInRegister(channel: string): void {
    this.#hasRead(channel, 'register');
  }

  forget(): void {
    for (const { lookedAfter } of this.#told) lookedAfter.end();
    this.#told = [];
    this.#read.clear();
    this.#known.clear();
  }

  /** Leaves those that have not been read, where the driver reads them if it does. */
  #settle(): void {
    for (const { channel, role, lookedAfter } of this.#told) if (lookedAfter.isSeen()) this.#hasRead(channel, role);
    this.#told = this.#told.filter((each) => {
      const isLeft = !each.lookedAfter.isSeen() && this.#isToRead(each);
      if (!isLeft) each.lookedAfter.end();
      return isLeft;
    });
  }

  #isToRead({ channel, role }: Told): boolean {
    const places = [...(this.#read.get(channel) ?? []), ...(this.#read.get('') ?? [])];
    return places.length === 0 || (places.includes(role) && !places.includes('register'));
  }

  #hasRead(channel: string, place: Place): void {
    const places = this.#read.get(channel) ?? new Set();
    this.#read.set(channel, places.add(place));
  }
}

const keyOf = (channel: string, role: DmaRole): string => `${channel} ${role}`;

interface LayoutWithErrors {
  readonly whole: DmaLayout;
  /** The bits of each word that are errors. */
  readonly errors: ReadonlyMap<WordLayout, bigint>;
}

/** What tells errors, by channel and role. */
function layoutsOf({ inspection }: PciCard): ReadonlyMap<string, LayoutWithErrors> {
  const all = inspection.channels().flatMap(({ name, layouts }) =>
    layouts.map((whole) => {
      const errors = new Map(whole.words.map((word) => [word, errorsIn(word)]));
      return [keyOf(name, whole.role), { whole, errors }] as const;
    }),
  );
  return new Map(all.filter(([, { errors }]) => [...errors.values()].some((bits) => bits !== 0n)));
}

const errorsIn = ({ fields }: WordLayout): bigint =>
  fields.reduce((bits, { role, msb, lsb }) => (role === 'error' ? bits | bitMask(msb, lsb) : bits), 0n);
