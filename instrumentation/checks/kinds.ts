/**
 * The table of checks: a row each, whose name switches it off. A new check is a file in `kinds` and a row here; then
 * `npm run generate`, and an example in docs/checks.md. The detection of stalled drivers, which needs a timer, has its
 * rows in `instrumentation/stalls`.
 */
import { nearestNames } from '../../emulator/registers/nearest-names';
import { STALLS } from '../stalls';
import { type Check } from './check';
import { accessSize } from './kinds/access-size';
import { acknowledgedUnread } from './kinds/acknowledged-unread';
import { dmaCrosses4k } from './kinds/dma-crosses-4k';
import { dmaWithoutDriver } from './kinds/dma-without-driver';
import { enabledWithCause } from './kinds/enabled-with-cause';
import { errorUnread } from './kinds/error-unread';
import { flrByHand } from './kinds/flr-by-hand';
import { intxLeftAsserted } from './kinds/intx-left-asserted';
import { leftAtWork } from './kinds/left-at-work';
import { lostUpdate } from './kinds/lost-update';
import { staleInterrupt } from './kinds/stale-interrupt';
import { staleRings } from './kinds/stale-rings';
import { strayDma } from './kinds/stray-dma';
import { unclaimedReads } from './kinds/unclaimed-reads';
import { vectorBeyond } from './kinds/vector-beyond';

export const CHECKS = {
  'dma-crosses-4k': dmaCrosses4k,
  'access-size': accessSize,
  'lost-update': lostUpdate,
  'acknowledged-unread': acknowledgedUnread,
  'error-unread': errorUnread,
  'enabled-with-cause': enabledWithCause,
  'vector-beyond': vectorBeyond,
  'stale-interrupt': staleInterrupt,
  'dma-without-driver': dmaWithoutDriver,
  'left-at-work': leftAtWork,
  'stale-rings': staleRings,
  'stray-dma': strayDma,
  'unclaimed-reads': unclaimedReads,
  'flr-by-hand': flrByHand,
  'intx-left-asserted': intxLeftAsserted,
} as const satisfies Readonly<Record<string, Check>>;

/** Those that look at events. */
export type EventCheckName = keyof typeof CHECKS;

/** What there is to read about each check, those of stalled drivers included. */
export const CHECK_DOCS: Readonly<Record<string, Pick<Check, 'doc' | 'source'>>> = { ...CHECKS, ...STALLS };

/** Names of all checks (docs/checks.md). */
export const CHECK_NAMES: readonly string[] = Object.keys(CHECK_DOCS);

/** @throws RangeError when there is no check of this name */
export function requireCheck(name: string): string {
  if (CHECK_NAMES.includes(name)) return name;
  const [nearest] = nearestNames(name, CHECK_NAMES);
  throw new RangeError(`there is no check '${name}'; did you mean '${nearest}'? All: ${CHECK_NAMES.join(', ')}`);
}
