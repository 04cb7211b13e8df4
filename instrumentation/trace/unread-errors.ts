/**
 * Errors that a card reports and its driver has never read: fields and registers with the role `error` in the card's
 * register map. An error counts as read when its register was read while it was set.
 */
import { type PciCard } from '../../emulator/pci';
import { type ErrorRegister, errorRegistersOf } from './error-registers';
import { type Finding } from './outcome';
import { type NamedRegister, RegisterNames } from './names';

interface ReadRegister extends ErrorRegister {
  /** What reads have seen since the last reset. */
  seen: bigint;
}

interface Place {
  readonly at: NamedRegister;
  readonly register: ReadRegister;
}

const NONE: readonly Place[] = [];

export class UnreadErrors {
  readonly #registers: readonly ReadRegister[];
  /** By region, then by the number of an aligned 8 bytes: those that are read there. Few reads are of one. */
  readonly #places: Place[][][] = [];
  /** Errors that a reset has cleared unread: by name, how often. */
  readonly #lost = new Map<string, number>();

  constructor(card: PciCard) {
    this.#registers = errorRegistersOf(card, RegisterNames.of(card)).map((register) => ({ ...register, seen: 0n }));
    for (const register of this.#registers) {
      for (const at of register.places) {
        ((this.#places[at.region] ??= [])[at.offset >>> 3] ??= []).push({ at, register });
      }
    }
  }

  /** The driver has read so many bytes at an offset of a region. */
  read(region: number, offset: number, sizeBytes: number): void {
    const places = this.#places[region];
    if (places === undefined) return;
    const last = (offset + sizeBytes - 1) >>> 3;
    for (let place = offset >>> 3; place <= last; place++) {
      for (const { at, register } of places[place] ?? NONE) {
        const { value } = register.stored;
        if (value && isTouched(at, offset, sizeBytes)) register.seen |= BigInt(value);
      }
    }
  }

  /** The card is about to be reset. */
  reset(): void {
    for (const name of this.#unread) this.#lost.set(name, (this.#lost.get(name) ?? 0) + 1);
    for (const register of this.#registers) register.seen = 0n;
  }

  get findings(): Finding[] {
    const all = new Map(this.#lost);
    for (const name of this.#unread) all.set(name, (all.get(name) ?? 0) + 1);
    return [...all].map(([part, times]) => ({
      ...({ kind: 'error-unread', part, times } as const),
      text: `${part} has reported an error that was never read`,
    }));
  }

  get #unread(): string[] {
    return this.#registers.flatMap(({ stored, errors, seen }) =>
      errors.flatMap(({ name, mask }) => ((BigInt(stored.value) & mask & ~seen) === 0n ? [] : [name])),
    );
  }
}

const isTouched = ({ offset, layout }: NamedRegister, from: number, sizeBytes: number): boolean =>
  from < offset + layout.width / 8 && from + sizeBytes > offset;
