/** `H2C[*].DOORBELL`, `STATUS.ERROR`, `H2C[0].STATUS.CODE=3`, `STATUS=0x10`: which accesses of which registers. */
import { type FieldLayout } from '../../emulator/registers';
import { fieldValue, type NamedRegister, nameOfValue } from '../trace';

/** Accesses of parts of registers have no value here, and match only what names none. */
type Value = bigint | undefined;

export class RegisterPattern {
  readonly #name: RegExp;
  /** What the register or field has to hold: a number, or a name of the field's value. */
  readonly #wanted: string | undefined;

  constructor(readonly text: string) {
    const [name = '', ...rest] = text.split('=');
    this.#name = wildcard(name);
    this.#wanted = rest.length > 0 ? rest.join('=') : undefined;
  }

  /** Whether there are accesses of this register that match. */
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
