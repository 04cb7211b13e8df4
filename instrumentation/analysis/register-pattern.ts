/** Patterns for accesses of registers: `H2C[*].DOORBELL`, `STATUS.ERROR`, `H2C[0].STATUS.CODE=3`, `STATUS=0x10`. */
import { type FieldLayout } from '../../emulator/registers';
import { NamePattern, unknownName } from '../../emulator/registers/name-pattern';
import { type TraceCards } from './card-names';
import { fieldValue, type NamedRegister, nameOfValue } from '../trace';

/** Undefined for an access of a part of a register: it matches only patterns without a value. */
type Value = bigint | undefined;

export class RegisterPattern {
  readonly #name: NamePattern;
  /** The value that the register or field must hold: a number, or the name of a value of the field. */
  readonly #wanted: string | undefined;

  constructor(readonly text: string) {
    const [name = '', ...rest] = text.split('=');
    this.#name = new NamePattern(name);
    this.#wanted = rest.length > 0 ? rest.join('=') : undefined;
  }

  /** Whether accesses of this register can match. */
  means(register: NamedRegister): boolean {
    return this.#name.isRegister(register) || this.#name.fieldsIn(register).length > 0;
  }

  /** Why it means nothing, in words; undefined if it means a register of the cards. */
  unknownIn(cards: TraceCards): string | undefined {
    const all = cards.all.flatMap(({ names }) => names.all);
    if (all.some((register) => this.means(register))) return undefined;
    return unknownName('the recording', 'register or field', this.#name.text, all);
  }

  matches(register: NamedRegister, value: Value): boolean {
    if (this.#wanted === undefined) return this.means(register);
    if (value === undefined) return false;
    if (this.#name.isRegister(register)) return isNumber(this.#wanted, value);
    return this.#name.fieldsIn(register).some((field) => this.#holds(field, value));
  }

  #holds(field: FieldLayout, value: bigint): boolean {
    const held = fieldValue(field, value);
    return isNumber(this.#wanted!, held) || nameOfValue(field, held)?.toUpperCase() === this.#wanted!.toUpperCase();
  }
}

const isNumber = (text: string, value: bigint): boolean => /^(0x[\da-f]+|\d+)$/i.test(text) && BigInt(text) === value;
