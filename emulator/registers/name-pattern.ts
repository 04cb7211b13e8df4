/**
 * How registers and fields are named to tools: in matchers, selections of traces, injected faults. `*` stands for any
 * characters, and case does not matter. A name that means nothing is refused with the nearest ones.
 */
import type { FieldLayout, RegisterLayout } from './register-layout';
import { wordNearest } from './nearest-names';

/** A register with what it is called. */
export interface Spelt {
  /** As it is shown. */
  readonly name: string;
  /** What it may be called, the shown name included: `STATUS`, `BAR0:STATUS`. */
  readonly spellings: readonly string[];
  readonly layout: RegisterLayout;
}

export const wildcard = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 'i');

export class NamePattern {
  readonly #pattern: RegExp;

  constructor(readonly text: string) {
    this.#pattern = wildcard(text);
  }

  isRegister({ spellings }: Spelt): boolean {
    return spellings.some((spelling) => this.#pattern.test(spelling));
  }

  fieldsIn({ spellings, layout }: Spelt): FieldLayout[] {
    return layout.fields.filter(({ name }) => spellings.some((spelling) => this.#pattern.test(`${spelling}.${name}`)));
  }
}

/** A pattern means no register; the message has the nearest names. */
export class UnknownNameError extends RangeError {
  override readonly name = 'UnknownNameError';
}

/** `the card has no register 'X'; the nearest are …` */
export function unknownName(
  owner: string,
  what: 'register' | 'field' | 'register or field',
  wanted: string,
  registers: readonly Spelt[],
): string {
  return `${owner} has no ${what} '${wanted}'; ${hintFor(what, wanted.replaceAll('[*]', '[0]'), registers)}`;
}

function hintFor(what: string, wanted: string, registers: readonly Spelt[]): string {
  const whole = registers.find(({ spellings }) => spellings.some((name) => wanted.startsWith(`${name}.`)));
  const fields = whole?.layout.fields.map(({ name }) => `${whole.name}.${name}`) ?? [];
  if (whole && fields.length === 0) return `${whole.name} has no fields`;
  const named = what === 'field' ? registers.flatMap(fieldNames) : registers.map(({ name }) => name);
  return wordNearest(wanted, whole ? fields : named);
}

const fieldNames = ({ name, layout }: Spelt): string[] => layout.fields.map((field) => `${name}.${field.name}`);
