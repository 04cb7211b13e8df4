/** Names for addresses of a card: which register is where, by the register maps of BARs and configuration space. */
import { type PciCard, Region, regionName } from '../../emulator/pci';
import { type RegisterLayout } from '../../emulator/registers';
import { registerSpacesOf, type RegisterSpace } from './card-description';

export interface NamedRegister {
  /**
   * `STATUS`, `H2C[0].STATUS`; `BAR2:STATUS` when registers lie in several BARs; `config:COMMAND`,
   * `config:MSIX.CONTROL`; of the table in a BAR, `MSIX.VECTOR[0].ADDRESS`.
   */
  readonly name: string;
  /** '' for registers of the card's author and the header of configuration space, else PCI's name of the structure. */
  readonly structure: string;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
  readonly layout: RegisterLayout;
}

export class RegisterNames {
  /** By region, then by ascending offset. */
  readonly #registers = new Map<number, NamedRegister[]>();

  constructor(spaces: readonly RegisterSpace[]) {
    const ofAuthor = spaces.filter(({ region, name }) => region !== Region.CONFIG && name === '');
    const hasSeveralBars = new Set(ofAuthor.map(({ region }) => region)).size > 1;
    for (const space of spaces) {
      const isPlain = space.region !== Region.CONFIG && space.name === '';
      const where = space.region === Region.CONFIG ? 'config:' : isPlain && hasSeveralBars ? `BAR${space.region}:` : '';
      this.#add(space, `${where}${space.name === '' ? '' : `${space.name}.`}`);
    }
    for (const registers of this.#registers.values()) registers.sort((a, b) => a.offset - b.offset);
  }

  static of(card: PciCard): RegisterNames {
    return new RegisterNames(registerSpacesOf(card));
  }

  /** All registers, region by region. */
  get all(): NamedRegister[] {
    return [...this.#registers.values()].flat();
  }

  /** The first register that an access of `sizeBytes` at `offset` touches; undefined where there is none. */
  at(region: number, offset: number, sizeBytes: number): NamedRegister | undefined {
    const registers = this.#registers.get(region);
    const register = registers?.[firstBehind(registers, offset)];
    return register !== undefined && register.offset < offset + sizeBytes ? register : undefined;
  }

  /** All that it touches, by ascending offset. */
  touched(region: number, offset: number, sizeBytes: number): NamedRegister[] {
    const registers = this.#registers.get(region) ?? [];
    const touched: NamedRegister[] = [];
    for (let i = firstBehind(registers, offset); i < registers.length; i++) {
      if (registers[i]!.offset >= offset + sizeBytes) break;
      touched.push(registers[i]!);
    }
    return touched;
  }

  #add({ name: structure, region, offset, registers }: RegisterSpace, prefix: string): void {
    const known = this.#registers.get(region) ?? [];
    for (const layout of registers) {
      known.push({ name: prefix + layout.path, structure, region, offset: offset + layout.offset, layout });
    }
    this.#registers.set(region, known);
  }
}

/** The index of the first register that ends after `offset`; registers do not overlap. */
function firstBehind(registers: readonly NamedRegister[], offset: number): number {
  let [low, high] = [0, registers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { offset: start, layout } = registers[middle]!;
    if (start + layout.width / 8 <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The place of an access in words: the register, and the offset in it if the access does not begin with it. */
export function placeOf(names: RegisterNames, region: number, offset: number, sizeBytes: number): string {
  const register = names.at(region, offset, sizeBytes);
  const where = regionName(region);
  if (register === undefined) return `${where} + 0x${offset.toString(16)}`;
  const skipped = offset - register.offset;
  return skipped === 0 ? register.name : `${register.name} ${skipped < 0 ? '-' : '+'} ${Math.abs(skipped)}`;
}
