/** What of all that the driver has stored comes before what a card does now: by the register writes that have arrived. */
import { type DriverAccess } from '../observer';
import { LATER_EPOCHS, MAX_VCPUS } from '../observer/layout';

const CONTEXTS = 2 * MAX_VCPUS;
const EPOCHS = 2 ** 28;

/** How much later an epoch is; modulo, so that one that is earlier is much later. */
const distance = (epoch: number, from: number): number => (epoch - from) & (EPOCHS - 1);
const isLater = (epoch: number, than: number): boolean => (distance(epoch, than) - 1) >>> 0 < LATER_EPOCHS;
const latest = (epoch: number, other: number): number => (distance(epoch, other) < EPOCHS / 2 ? epoch : other);

/** `late`: after the last register write. `unordered`: before it, with no barrier in between. */
export type Disorder = 'late' | 'unordered';

export class Order {
  // By processor and context, as in a mark: the last epoch that comes before.
  readonly #before = new Uint32Array(CONTEXTS);
  readonly #ordered = new Uint32Array(CONTEXTS);
  /** Whether any of this is known. */
  #isKnown = false;

  /** A register write has arrived. */
  wrote(access: DriverAccess): void {
    const own = 2 * access.vcpu + (access.isKernel ? 1 : 0);
    for (let each = 0; each < CONTEXTS; each++) {
      const before = access.before[each]!;
      const ordered = each === own ? access.barrier - 1 : before;
      this.#before[each] = this.#isKnown ? latest(before, this.#before[each]!) : before;
      this.#ordered[each] = this.#isKnown ? latest(ordered, this.#ordered[each]!) : ordered;
    }
    this.#isKnown = true;
  }

  /** What is wrong with the order of a store whose mark has these upper bits; undefined: nothing. */
  disorderOf(high: number): Disorder | undefined {
    const each = high & (CONTEXTS - 1);
    const epoch = high >>> 4;
    if (isLater(epoch, this.#before[each]!)) return 'late';
    return isLater(epoch, this.#ordered[each]!) ? 'unordered' : undefined;
  }
}
