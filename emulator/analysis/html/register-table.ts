/** The registers of all cards of a trace under one numbering, and which of them an access touches. */
import { type AccessEvent, type NamedRegister } from '../../trace';
import { type TraceCards } from '../../analysis/cards';
import { type RegisterHead } from './page/report';

interface Place {
  readonly number: number;
  readonly from: number;
  readonly to: number;
}

export class RegisterTable {
  readonly heads: readonly RegisterHead[];
  /** By card and region: registers by rising offset, with their numbers. */
  readonly #spaces = new Map<string, Place[]>();

  constructor(cards: TraceCards) {
    const all = cards.all.flatMap(({ id, names }) => names.all.map((register) => ({ card: id, ...register })));
    this.heads = all.map(headOf);
    for (const [number, { card, region, offset, layout }] of all.entries()) {
      const space = this.#spaces.get(`${card} ${region}`) ?? [];
      space.push({ number, from: offset, to: offset + layout.width / 8 });
      this.#spaces.set(`${card} ${region}`, space);
    }
  }

  /** Whether there are registers in a region; else it is memory. */
  isIn(card: number, region: number): boolean {
    return this.#spaces.has(`${card} ${region}`);
  }

  touchedBy({ card, region, offset, data }: AccessEvent): number[] {
    const space = this.#spaces.get(`${card} ${region}`) ?? [];
    const touched: number[] = [];
    for (let i = firstBehind(space, offset); i < space.length && space[i]!.from < offset + data.length; i++) {
      touched.push(space[i]!.number);
    }
    return touched;
  }
}

function headOf({ card, region, offset, name, layout }: NamedRegister & { card: number }): RegisterHead {
  const { width, access, reset, doc, fields } = layout;
  return {
    ...{ card, region, offset, name, width, access, doc },
    reset: reset.toString(16),
    fields: fields.map(({ name, msb, lsb, access, doc, values }) => ({ name, msb, lsb, access, doc, values })),
  };
}

/** Index of the first that ends behind `offset`. */
function firstBehind(space: readonly Place[], offset: number): number {
  let [low, high] = [0, space.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (space[middle]!.to <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
