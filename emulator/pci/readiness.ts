/**
 * When a function can be accessed again after a reset. Until then it completes no configuration request successfully, which
 * software sees as reads of all ones, or waits out in pieces (Linux pci_dev_wait, up to 60 s).
 *
 * Source: PCI Express Base Spec 5.0, 6.6.1 and 6.6.2 (time allowed after a reset), 2.3.1 (Configuration Request Retry
 * Status, which a vfio-user server cannot return: docs/limits.md).
 */
import { type CardClock, type ScheduledTask } from '../clock';
import { type ResetKind } from '../registers';

export class Readiness {
  #becomesReady: ScheduledTask | undefined;

  constructor(
    private readonly clock: Pick<CardClock, 'after'>,
    /** How long the function cannot be accessed, in nanoseconds of device time. Default: 0. */
    private readonly afterNs: Readonly<Partial<Record<ResetKind, number>>>,
    private readonly changed: (state: 'ready' | 'not ready') => void,
  ) {}

  get isReady(): boolean {
    return this.#becomesReady === undefined;
  }

  /** The function has been reset. */
  begin(kind: ResetKind): void {
    const delayNs = this.afterNs[kind] ?? 0;
    if (delayNs === 0) return;
    this.#becomesReady?.cancel();
    this.#becomesReady = this.clock.after(delayNs, () => {
      this.#becomesReady = undefined;
      this.changed('ready');
    });
    this.changed('not ready');
  }
}
