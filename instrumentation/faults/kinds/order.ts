/** Faults of the order in which what a card writes, and its interrupt, reach memory and the driver. */
import { Completion, type DmaStage } from '../../../emulator/memory';
import { type ResetKind } from '../../../emulator/registers';
import { channelsNamed, wordDuration } from '../../trace';
import { type DmaCall, splitDma } from '../dma-call';
import { kind } from '../kind';
import { CHANNEL, type Filled, INTERRUPT, ns, optional, text, withDefault } from '../parameters';
import { DmaFault } from './dma';
import { InterruptFault } from './interrupts';

const DEFAULT_DELAY_NS = 1_000_000;
/** How long writes wait for the interrupt that is to overtake them. */
const MOST_HELD_NS = 1_000_000;

const OVERTAKING = {
  channel: optional(text, 'whose writes; of all channels by default'),
  delayNs: withDefault(ns, DEFAULT_DELAY_NS, 'how much later they reach memory'),
};

export const ORDER_KINDS = {
  'interrupt-before-write-back': kind({
    match: INTERRUPT,
    parameters: OVERTAKING,
    roles: ['descriptor', 'write-back'],
    doc: 'The interrupt overtakes the writes that report a completion (descriptors and write-back); later writes stay behind them. Only interrupts that follow a completion count. The writes are held until the interrupt comes, but not for longer than 1 ms.',
    make: (site, given) => new InterruptBeforeWriteBack(site, given),
  }),

  'write-back-before-data': kind({
    match: CHANNEL,
    parameters: { delayNs: withDefault(ns, DEFAULT_DELAY_NS, 'how much later') },
    roles: ['data'],
    doc: 'A write of data (C2H) reaches memory later, and for the card it is done. Only writes with the role `data` count.',
    make: (site, given) =>
      new DmaFault(site, { ...given, access: 'write', role: 'data' }, (call, fault) => {
        const delay = wordDuration(given.delayNs);
        fault.fire(`${call} reaches memory ${delay} late; what the card writes after it comes first`);
        const kept = call.kept();
        fault.later(given.delayNs, () => kept.performQuietly());
        return Completion.DONE;
      }),
  }),
};

/**
 * Holds back what completions write to memory (descriptors and write-back) until the interrupt that follows has gone out;
 * for a limited time, for it may not come.
 */
class InterruptBeforeWriteBack extends InterruptFault<Filled<typeof INTERRUPT & typeof OVERTAKING>> {
  readonly #channels = this.given.channel && channelsNamed(this.site.card, this.given.channel);
  #held: DmaCall[] = [];
  #release: { cancel(): void } | undefined;
  /** The card has written of completions since its last interrupt. */
  #hasCompleted = false;

  protected override takes(vector: number): boolean {
    if (vector !== (this.given.vector ?? vector)) return false;
    const isEvent = this.waitsFor.isNext ? this.#held.length > 0 : this.#hasCompleted;
    this.#hasCompleted = false;
    return isEvent && super.takes(vector);
  }

  protected override message(name: string, send: () => void): void {
    this.#overtakes(name);
    send();
  }

  protected override rises(): void {
    this.#overtakes('INTx');
  }

  override dma(below: DmaStage): DmaStage {
    return splitDma(below, (call) => {
      if (!call.isCompletion || (this.#channels && !this.#channels.has(call.by.channel))) return call.perform();
      this.#hasCompleted = true;
      // What comes behind one that is held stays behind it.
      if (this.#held.length === 0 && !this.waitsFor.isNext) return call.perform();
      this.#held.push(call.kept());
      if (this.#release === undefined) this.#releaseAfter(MOST_HELD_NS);
      return Completion.DONE;
    });
  }

  override reset(kind: ResetKind): void {
    super.reset(kind);
    this.#held = [];
    this.#release = undefined;
    this.#hasCompleted = false;
  }

  #overtakes(name: string): void {
    const { delayNs } = this.given;
    const ahead = `the ${this.#held.length} writes to memory that the card has made ahead of it`;
    this.fire(`${name} comes ${wordDuration(delayNs)} before ${ahead}`);
    this.#releaseAfter(delayNs);
  }

  #releaseAfter(delayNs: number): void {
    this.#release?.cancel();
    this.#release = this.later(delayNs, () => {
      this.#release = undefined;
      for (const call of this.#held.splice(0)) call.performQuietly();
    });
  }
}
