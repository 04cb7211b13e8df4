/** Checks of options at run time: a user who does not type-check tests learns of a misspelt option no other way. */
import { distanceBetween, nearestNames } from '../emulator/registers/nearest-names.ts';

/** Throws a TypeError when `given` has an option that is not in `known`; `what` is what takes it: `guestTest`. */
export function refuseUnknownOptions<Options extends object>(
  what: string,
  given: Options,
  known: Readonly<Record<keyof Required<Options>, true>>,
): void {
  const names = Object.keys(known);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const [nearest] = nearestNames(name, names);
    const isNear =
      nearest !== undefined && distanceBetween(name.toLowerCase(), nearest.toLowerCase()) <= 1 + name.length / 4;
    const hint = isNear ? `did you mean '${nearest}'?` : `its options are ${names.join(', ')}`;
    throw new TypeError(`${what} has no option '${name}': ${hint}`);
  }
}

/** Throws a TypeError when the option `name` of guestTest is `given`, and has none of the `known` values. */
export function refuseUnlessOneOf(name: string, given: string | undefined, known: readonly string[]): void {
  if (given === undefined || known.includes(given)) return;
  throw new TypeError(`guestTest: ${name} is '${given}'; it can be ${known.map((each) => `'${each}'`).join(', ')}`);
}
