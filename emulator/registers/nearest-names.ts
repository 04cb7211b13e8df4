/** Suggestions for a misspelt name. */

/** The `most` names that are closest to `wanted`, the closest first. */
export function nearestNames(wanted: string, names: readonly string[], most = 3): string[] {
  return names
    .map((name) => ({ name, distance: distanceBetween(wanted.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ name }) => name);
}

/** For an error about a name that there is not: `the nearest are A, B, C`. */
export function wordNearest(wanted: string, names: readonly string[]): string {
  if (names.length < 2) return names.length === 0 ? 'it has none at all' : `the only one is ${names[0]}`;
  return `the nearest are ${nearestNames(wanted, names).join(', ')}`;
}

/** Levenshtein distance: how many letters must be changed, inserted or deleted to turn one name into the other. */
export function distanceBetween(a: string, b: string): number {
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
