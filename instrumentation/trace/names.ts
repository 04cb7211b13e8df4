/** Names for addresses of a card: which register is where, by the register maps of BARs and configuration space. */
import { type DmaChannelDescription, type PciCard, Region, regionName } from '../../emulator/pci';
import { type Spelt } from '../../emulator/registers/name-pattern';
import { DeclaredChannels } from './declared-channels';
import { printable } from './printable';
import { registerSpacesOf, type RegisterSpace } from './card-description';

export interface NamedRegister extends Spelt {
  /**
   * `STATUS`, `H2C[0].STATUS`; `BAR2:STATUS` when several BARs have a register of that name; `config:COMMAND`,
   * `config:MSIX.CONTROL`; of the table in a BAR, `MSIX.VECTOR[0].ADDRESS`.
   */
  readonly name: string;
  /** '' for registers of the card's author and the header of configuration space, else PCI's name of the structure. */
  readonly structure: string;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
}

export class RegisterNames {
  /** By region, then by ascending offset. */
  readonly #registers = new Map<number, NamedRegister[]>();

  /** What the card declares of its DMA channels. */
  readonly channels: DeclaredChannels;

  constructor(spaces: readonly RegisterSpace[], channels?: readonly DmaChannelDescription[]) {
    this.channels = new DeclaredChannels(channels);
    const bars = new Map<string, Set<number>>();
    for (const space of spaces.filter(({ region }) => region !== Region.CONFIG)) {
      for (const path of pathsIn(space)) bars.set(path, (bars.get(path) ?? new Set()).add(space.region));
    }
    for (const space of spaces) this.#add(space, (path) => (bars.get(path)?.size ?? 0) > 1);
    for (const registers of this.#registers.values()) registers.sort((a, b) => a.offset - b.offset);
  }

  static of(card: PciCard): RegisterNames {
    return new RegisterNames(registerSpacesOf(card), card.inspection.channels());
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

  #add(space: RegisterSpace, isShared: (path: string) => boolean): void {
    const { name: structure, region, offset, registers } = space;
    const known = this.#registers.get(region) ?? [];
    const paths = pathsIn(space);
    for (const [i, layout] of registers.entries()) {
      const path = paths[i]!;
      const whole = `${region === Region.CONFIG ? 'config' : regionName(region)}:${path}`;
      const name = printable(region === Region.CONFIG || isShared(path) ? whole : path);
      const spellings = region === Region.CONFIG ? [whole] : [path, whole];
      known.push({ name, spellings, structure, region, offset: offset + layout.offset, layout });
    }
    this.#registers.set(region, known);
  }
}

/** Paths of the registers, without the BAR. */
const pathsIn = ({ name, registers }: RegisterSpace): string[] =>
  registers.map(({ path }) => (name === '' ? path : `${name}.${path}`));

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
