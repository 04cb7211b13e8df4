/**
 * The figures of a benchmark: a subject against a floor that was measured in the same round, so that a slow or busy
 * machine slows both. Only arithmetic, no measurement.
 */

/** A value over the rounds of a run. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** One round: subject and floor, measured one right after the other, in the same unit. */
export interface Round {
  readonly subject: number;
  readonly floor: number;
}

/** The goal for the ratio of subject to floor. */
export interface Goal {
  readonly kind: 'at-most' | 'at-least';
  readonly ratio: number;
}

export interface FigureDefinition {
  /** The letter of the group that it belongs to, as `--only` takes it. */
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  /** What the floor is, in a few words. */
  readonly floorName: string;
  readonly goal?: Goal;
  /** What a reader must know to understand it. */
  readonly note?: string;
}

export interface Figure extends FigureDefinition {
  readonly subject: Spread;
  readonly floor: Spread;
  /** Of the ratios of the rounds, not the ratio of the medians: each round has its own floor. */
  readonly ratio: Spread;
  /** Whether the median ratio reaches the goal; absent without a goal. */
  readonly met?: boolean;
  readonly rounds: readonly Round[];
}

export function figure(definition: FigureDefinition, rounds: readonly Round[]): Figure {
  for (const { floor } of rounds) {
    if (!(floor > 0)) throw new RangeError(`${definition.name}: a floor of ${floor}; it must be above 0`);
  }
  const ratio = spread(rounds.map(({ subject, floor }) => subject / floor));
  return {
    ...definition,
    subject: spread(rounds.map(({ subject }) => subject)),
    floor: spread(rounds.map(({ floor }) => floor)),
    ratio,
    ...(definition.goal && { met: isMet(definition.goal, ratio.median) }),
    rounds,
  };
}

export function isMet({ kind, ratio }: Goal, reached: number): boolean {
  return kind === 'at-most' ? reached <= ratio : reached >= ratio;
}

/** Of an even number of values the median is the mean of the middle two. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values: a benchmark needs at least one round');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}
