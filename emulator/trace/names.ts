/** Addresses of a card as names: which register lies where, by the register maps of its BARs and its configuration space. */
import { type PciCard, Region } from '../pci';
import { type RegisterLayout } from '../registers';
import { registerSpacesOf, type RegisterSpace } from './card-description';

export interface NamedRegister {
  /** `STATUS`, `H2C[0].STATUS`; `BAR2:STATUS` when registers lie in several BARs; `config:COMMAND`. */
  readonly name: string;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
  readonly layout: RegisterLayout;
}

export class RegisterNames {
  /** By region, by rising offset. */
  readonly #registers = new Map<number, NamedRegister[]>();

  constructor(spaces: readonly RegisterSpace[]) {
    const bars = new Set(spaces.filter(({ region }) => region !== Region.CONFIG).map(({ region }) => region));
    for (const { region, offset, registers } of spaces) {
      const prefix = region === Region.CONFIG ? 'config:' : bars.size > 1 ? `BAR${region}:` : '';
      this.#add(region, offset, prefix, registers);
    }
    for (const registers of this.#registers.values()) registers.sort((a, b) => a.offset - b.offset);
  }

  static of(card: PciCard): RegisterNames {
    return new RegisterNames(registerSpacesOf(card));
  }

  /** All there are, region by region. */
  get all(): NamedRegister[] {
    return [...this.#registers.values()].flat();
  }

  /** The register that an access of `sizeBytes` at `offset` touches first; undefined where there is none. */
  at(region: number, offset: number, sizeBytes: number): NamedRegister | undefined {
    const registers = this.#registers.get(region);
    if (registers === undefined) return undefined;
    // Registers do not overlap: of those that end behind `offset`, the first.
    let [low, high] = [0, registers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { offset: start, layout } = registers[middle]!;
      if (start + layout.width / 8 <= offset) low = middle + 1;
      else high = middle;
    }
    const register = registers[low];
    return register !== undefined && register.offset < offset + sizeBytes ? register : undefined;
  }

  #add(region: number, base: number, prefix: string, layouts: readonly RegisterLayout[]): void {
    const known = this.#registers.get(region) ?? [];
    known.push(
      ...layouts.map((layout) => ({ name: prefix + layout.path, region, offset: base + layout.offset, layout })),
    );
    this.#registers.set(region, known);
  }
}

/** Where an access lies, in words: the register, with what of it was accessed if that is not all of it. */
export function placeOf(names: RegisterNames, region: number, offset: number, sizeBytes: number): string {
  const register = names.at(region, offset, sizeBytes);
  const where = region === Region.CONFIG ? 'config' : `BAR${region}`;
  if (register === undefined) return `${where} + 0x${offset.toString(16)}`;
  const skipped = offset - register.offset;
  return skipped === 0 ? register.name : `${register.name} ${skipped < 0 ? '-' : '+'} ${Math.abs(skipped)}`;
}
