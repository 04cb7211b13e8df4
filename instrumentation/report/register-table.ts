/** The registers of all cards of a trace under one numbering, and which of them an access touches. */
import { type AccessEvent, type NamedRegister } from '../trace';
import { type TraceCards } from '../analysis/card-names';
import { type RegisterHead } from './page/report';

export class RegisterTable {
  readonly heads: readonly RegisterHead[];
  readonly #numbers: ReadonlyMap<NamedRegister, number>;

  constructor(private readonly cards: TraceCards) {
    const all = cards.all.flatMap(({ id, names }) => names.all.map((register) => ({ card: id, register })));
    this.heads = all.map(({ card, register }) => headOf(card, register));
    this.#numbers = new Map(all.map(({ register }, number) => [register, number]));
  }

  touchedBy({ card, region, offset, data }: AccessEvent): number[] {
    const touched = this.cards.names(card).touched(region, offset, data.length);
    return touched.map((register) => this.#numbers.get(register)!);
  }
}

function headOf(card: number, { region, offset, name, layout }: NamedRegister): RegisterHead {
  const { width, access, reset, doc, fields } = layout;
  return {
    ...{ card, region, offset, name, width, access, doc },
    reset: reset.toString(16),
    fields: fields.map(({ name, msb, lsb, access, doc, values }) => ({ name, msb, lsb, access, doc, values })),
  };
}
