/**
 * What lies at each 32-bit word of a card's register BARs, for checks that ask at every access: a table of flags, made
 * when it is first needed. What is no register of the card's author (memory, MSI-X) has no flags and is not checked.
 */
import { type PciCard } from '../../emulator/pci';
import { bitsWithRole, type FieldLayout, type RegisterHandle, type RegisterLayout } from '../../emulator/registers';
import { type Access, ACCESS_KINDS } from '../../emulator/registers/access';
import { type NamedRegister, RegisterNames } from '../trace';

/** An aligned access of 32 bits is one of a whole register, or of half of a 64-bit one. */
export const WHOLE = 1;
/** A 32-bit register with bits that a write can give the value that was read. */
export const RESTORABLE = 2;
/** A 32-bit register that has bits which are cleared by writing 1. */
export const CLEARED_BY_ONE = 4;
/** A register of 32 or 64 bits in which errors are reported, or an alias of it. */
export const REPORTS_ERRORS = 8;

/** A 32-bit register, its stored value, and the bits of some rules. */
export interface WordRegister {
  readonly name: string;
  readonly layout: RegisterLayout;
  readonly stored: RegisterHandle;
  readonly clearedByOne: number;
  /** Bits whose reads show the state, and that a write of the same value restores: where it is 1, and where it is 0. */
  readonly setByOne: number;
  readonly clearedByZero: number;
  /** Bits that the card clears by itself when they are 1, as it declares. */
  readonly clearedByCard: number;
}

export class Registers {
  #names: RegisterNames | undefined;
  readonly #flags: (Uint8Array | undefined)[] = [];
  readonly #words = new Map<string, WordRegister>();

  constructor(private readonly card: PciCard) {
    for (const [region, { map }] of card.inspection.registerFiles) this.#flags[region] = flagsOf(map.registers);
  }

  get names(): RegisterNames {
    return (this.#names ??= RegisterNames.of(this.card));
  }

  /** Whether this region shows registers of the card's author. */
  has(region: number): boolean {
    return this.#flags[region] !== undefined;
  }

  /** The flags of the word at `offset`; 0 where there is none, and for an offset that is not aligned. */
  flags(region: number, offset: number): number {
    const flags = this.#flags[region];
    return flags !== undefined && (offset & 3) === 0 ? (flags[offset >>> 2] ?? 0) : 0;
  }

  /** The register of the author's that begins at `offset`, which has `RESTORABLE` or `CLEARED_BY_ONE`. */
  at(region: number, offset: number): WordRegister {
    const key = `${region} ${offset}`;
    let known = this.#words.get(key);
    if (known === undefined) this.#words.set(key, (known = this.#find(this.names.at(region, offset, 4)!)));
    return known;
  }

  #find({ name, region, layout }: NamedRegister): WordRegister {
    const stored = this.card.inspection.registerFiles.get(region)!.register(layout.path) as RegisterHandle;
    return { name, layout, stored, ...rulesOf(layout) };
  }
}

function flagsOf(registers: readonly RegisterLayout[]): Uint8Array {
  const end = Math.max(0, ...registers.map(({ offset, width }) => offset + width / 8));
  const flags = new Uint8Array(Math.ceil(end / 4));
  const withErrors = new Set(bitsWithRole(registers, 'error').map(({ register }) => register.path));
  for (const register of registers) {
    const { offset, width, path, aliasOf = path } = register;
    if (width < 32) continue;
    const ofAll = WHOLE | (withErrors.has(aliasOf) ? REPORTS_ERRORS : 0);
    for (let at = offset; at < offset + width / 8; at += 4) flags[at >>> 2] = ofAll;
    if (width > 32) continue;
    const { clearedByOne, setByOne, clearedByZero } = rulesOf(register);
    if ((setByOne | clearedByZero) !== 0) flags[offset >>> 2]! |= RESTORABLE;
    if (clearedByOne !== 0) flags[offset >>> 2]! |= CLEARED_BY_ONE;
  }
  return flags;
}

const rulesOf = (layout: RegisterLayout) => ({
  clearedByOne: bitsOf(layout, ({ access }) => access === 'w1c'),
  setByOne: bitsOf(layout, ({ access }) => shows(access) && writeOf(access).one === 'set'),
  clearedByZero: bitsOf(layout, ({ access }) => shows(access) && writeOf(access).zero === 'clear'),
  clearedByCard: bitsOf(layout, ({ card }) => (card ?? layout.card) === 'clears'),
});

const writeOf = (access: Access) => ACCESS_KINDS.get(access)!.write;
const shows = (access: Access): boolean => {
  const { read } = ACCESS_KINDS.get(access)!;
  return read.shows && read.after === 'keep';
};

/** The bits of a 32-bit register that follow a rule; a register without fields is one. */
function bitsOf(layout: RegisterLayout, rule: (of: Pick<FieldLayout, 'access' | 'card'>) => boolean): number {
  if (layout.fields.length === 0) return rule(layout) ? -1 : 0;
  return layout.fields.reduce((bits, field) => (rule(field) ? bits | ((2 ** field.width - 1) << field.lsb) : bits), 0);
}
