/** Options that do not exist are refused: who does not run the compiler learns of a misspelt one no other way. */

/** Throws a TypeError when `given` has an option that is not in `known`; `what` is what takes it: `guestTest`. */
export function refuseUnknownOptions<Options extends object>(
  what: string,
  given: Options,
  known: Readonly<Record<keyof Required<Options>, true>>,
): void {
  const names = Object.keys(known);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const [nearest] = names
      .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
      .sort((a, b) => a.distance - b.distance);
    const isNear = nearest !== undefined && nearest.distance <= 1 + name.length / 4;
    const hint = isNear ? `did you mean '${nearest.candidate}'?` : `its options are ${names.join(', ')}`;
    throw new TypeError(`${what} has no option '${name}': ${hint}`);
  }
}

/** How many letters must be changed, put in or left out to make one of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (let column = 0; column < b.length; column++) {
      const changed = previous[column]! + (b[column] === letter ? 0 : 1);
      current.push(Math.min(changed, previous[column + 1]! + 1, current[column]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
