/** A case of the suite: what is done to the server, and what the specification demands then. */
import { type Trial } from './trial';

export interface Case {
  /** Within its area: `no-version-data`. */
  readonly name: string;
  /** The section that demands it; of the vfio-user specification unless it names another. */
  readonly section: string;
  /** What is done and what is due, in one sentence. */
  readonly expects: string;
  /** @throws Unmet, NotApplicable */
  readonly run: (trial: Trial) => Promise<void>;
}

export interface Area {
  readonly name: string;
  readonly about: string;
  readonly cases: readonly Case[];
}

/** What the reports call a case. */
export const idOf = (area: Area, { name }: Case): string => `${area.name}/${name}`;
