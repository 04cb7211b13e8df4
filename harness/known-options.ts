/** Options that do not exist are refused: who does not run the compiler learns of a misspelt one no other way. */
import { distanceBetween, nearestNames } from '../emulator/registers/nearest-names';

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
