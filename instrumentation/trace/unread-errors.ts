/**
 * Errors that a card reports and its driver has never read: fields and registers with the role `error` in the card's
 * register map. An error counts as read when its register was read while it was set.
 */
import { type PciCard } from '../../emulator/pci';
import { type FieldLayout, type RegisterHandle } from '../../emulator/registers';
import { type Finding } from './outcome';
import { type NamedRegister, RegisterNames } from './names';

interface ErrorRegister {
  readonly at: NamedRegister;
  readonly stored: RegisterHandle;
  /** Its errors: bits, and what they are called. */
  readonly errors: readonly { readonly name: string; readonly mask: bigint }[];
  /** What reads have seen since the last reset. */
  seen: bigint;
}

const NONE: readonly ErrorRegister[] = [];

export class UnreadErrors {
  readonly #registers: readonly ErrorRegister[];
  /** By region, then by the number of an aligned 8 bytes: those that lie there. Few reads are of one. */
  readonly #places: ErrorRegister[][][] = [];
  /** Errors that a reset has cleared unread: by name, how often. */
  readonly #lost = new Map<string, number>();

  constructor(card: PciCard) {
    const { registerFiles } = card.inspection;
    this.#registers = RegisterNames.of(card).all.flatMap((at): ErrorRegister[] => {
      const file = registerFiles.get(at.region);
      const errors = errorsOf(at);
      if (file === undefined || at.structure !== '' || errors.length === 0) return [];
      return [{ at, stored: file.register(at.layout.path) as RegisterHandle, errors, seen: 0n }];
    });
    for (const register of this.#registers) {
      const { region, offset } = register.at;
      ((this.#places[region] ??= [])[offset >>> 3] ??= []).push(register);
    }
  }

  /** The driver has read so many bytes at an offset of a region. */
  read(region: number, offset: number, sizeBytes: number): void {
    const places = this.#places[region];
    if (places === undefined) return;
    const last = (offset + sizeBytes - 1) >>> 3;
    for (let place = offset >>> 3; place <= last; place++) {
      for (const register of places[place] ?? NONE) {
        const { value } = register.stored;
        if (value && isTouched(register.at, offset, sizeBytes)) register.seen |= BigInt(value);
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

function errorsOf({ name, layout }: NamedRegister): { name: string; mask: bigint }[] {
  if (layout.role === 'error') return [{ name, mask: (1n << BigInt(layout.width)) - 1n }];
  const mask = ({ lsb, width }: FieldLayout): bigint => ((1n << BigInt(width)) - 1n) << BigInt(lsb);
  return layout.fields
    .filter(({ role }) => role === 'error')
    .map((field) => ({ name: `${name}.${field.name}`, mask: mask(field) }));
}
