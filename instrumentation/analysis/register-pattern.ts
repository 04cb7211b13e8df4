/** Patterns for accesses of registers: `H2C[*].DOORBELL`, `STATUS.ERROR`, `H2C[0].STATUS.CODE=3`, `STATUS=0x10`. */
import { type FieldLayout } from '../../emulator/registers';
import { fieldValue, type NamedRegister, nameOfValue } from '../trace';

/** Undefined for an access of a part of a register: it matches only patterns without a value. */
type Value = bigint | undefined;

export class RegisterPattern {
  readonly #name: RegExp;
  /** The value that the register or field must hold: a number, or the name of a value of the field. */
  readonly #wanted: string | undefined;

  constructor(readonly text: string) {
    const [name = '', ...rest] = text.split('=');
    this.#name = wildcard(name);
    this.#wanted = rest.length > 0 ? rest.join('=') : undefined;
  }

  /** Whether accesses of this register can match. */
  means({ name, layout }: NamedRegister): boolean {
    return this.#name.test(name) || layout.fields.some((field) => this.#name.test(`${name}.${field.name}`));
  }

  matches(register: NamedRegister, value: Value): boolean {
    const { name, layout } = register;
    if (this.#wanted === undefined) return this.means(register);
    if (value === undefined) return false;
    if (this.#name.test(name)) return isNumber(this.#wanted, value);
    return layout.fields.some((field) => this.#name.test(`${name}.${field.name}`) && this.#holds(field, value));
  }

  #holds(field: FieldLayout, value: bigint): boolean {
    const held = fieldValue(field, value);
    return isNumber(this.#wanted!, held) || nameOfValue(field, held)?.toUpperCase() === this.#wanted!.toUpperCase();
  }
}

const isNumber = (text: string, value: bigint): boolean => /^(0x[\da-f]+|\d+)$/i.test(text) && BigInt(text) === value;

/** `*` stands for any characters; case does not matter. */
export const wildcard = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 'i');
