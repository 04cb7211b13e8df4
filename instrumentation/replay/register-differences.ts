/** How the registers of two cards differ, in words: what explains why a card does something else than it did. */
import { type CardDescription, RegisterNames, type RegisterSpace } from '../trace';
import { type RegisterLayout } from '../../emulator/registers';

export function registerDifferences(recorded: readonly RegisterSpace[], now: readonly RegisterSpace[]): string[] {
  const [before, after] = [registersOf(recorded), registersOf(now)];
  const gone = [...before].flatMap(([name, was]) => {
    const is = after.get(name);
    return is === undefined ? [`${name} is not there any more`] : changesOf(name, was, is);
  });
  return [...gone, ...[...after.keys()].filter((name) => !before.has(name)).map((name) => `${name} is new`)];
}

type Placed = { readonly region: number; readonly offset: number; readonly layout: RegisterLayout };

const registersOf = (spaces: CardDescription['registers']): Map<string, Placed> =>
  new Map(new RegisterNames(spaces).all.map((register) => [register.name, register]));

function changesOf(name: string, was: Placed, is: Placed): string[] {
  const change = (what: string, a: unknown, b: unknown) => (a === b ? [] : [`${name}: ${what} was ${a}, and is ${b}`]);
  const hex = (value: number | bigint) => `0x${value.toString(16)}`;
  return [
    ...change('place', place(was), place(is)),
    ...change('width', was.layout.width, is.layout.width),
    ...change('reset value', hex(was.layout.reset), hex(is.layout.reset)),
    ...change('fields', fieldsOf(was.layout), fieldsOf(is.layout)),
  ];
}

const place = ({ region, offset }: Placed) => `${region === 7 ? 'config' : `BAR${region}`} + 0x${offset.toString(16)}`;

/** `BUSY[0] ro, CODE[11:8] rw` */
const fieldsOf = ({ fields }: RegisterLayout) =>
  fields.map(({ name, lsb, width }) => `${name}[${width > 1 ? `${lsb + width - 1}:` : ''}${lsb}]`).join(', ') || 'none';
