/**
 * What befalls an interrupt between the card and the function's own masks. A message comes once, late, twice or never. The
 * INTx line is a level: what befalls its rise lasts until it changes next.
 */
import { Completion, type DmaStage } from '../../../emulator/memory';
import { wordDuration } from '../../trace';
import { type InterruptStage } from '../../../emulator/pci';
import {
  type InterruptBeforeWriteBack,
  type InterruptDelayed,
  type InterruptDropped,
  type InterruptDuplicated,
  type InterruptMatch,
} from '../parameters';
import { type DmaCall, isCompletion, performQuietly, splitDma } from '../dma-call';
import { Fault, type FaultSite } from '../fault';
import { InterruptMatcher } from '../matcher';

/** Longer than QEMU takes to notice: what comes faster is one interrupt to the guest. */
export const DEFAULT_GAP_NS = 100_000;
export const DEFAULT_OVERTAKEN_NS = 1_000_000;
/** How long writes wait for the interrupt that is to overtake them. */
const MOST_HELD_NS = 1_000_000;

/** The INTx line as the card drives it, and what a fault makes of it. */
export class Line {
  /** As the card drives it. */
  level = false;
  /** The card's level does not come through. */
  isWithheld = false;
  /** It stands whatever the card does. */
  isForced = false;

  constructor(private readonly below: InterruptStage) {}

  update(): void {
    this.below.setIntx((this.level && !this.isWithheld) || this.isForced);
  }

  /** The function's own line is down after a reset. */
  reset(): void {
    this.level = this.isWithheld = this.isForced = false;
  }
}

abstract class InterruptFault<D extends InterruptMatch & ConstructorParameters<typeof Fault>[1]> extends Fault<D> {
  readonly waitsFor: InterruptMatcher;
  #line: Line | undefined;

  constructor(site: FaultSite, declaration: D) {
    super(site, declaration);
    this.waitsFor = new InterruptMatcher(site.card, declaration);
  }

  /** A message is raised; `send` lets it go. */
  protected abstract message(name: string, send: () => void): void;
  /** The line has risen; it is driven as `line` says when this returns. */
  protected abstract rises(line: Line): void;
  protected falls(_line: Line): void {}

  protected takes(vector: number): boolean {
    return this.waitsFor.takes(vector);
  }

  override interrupts(below: InterruptStage): InterruptStage {
    const path = this.site.card.inspection.interrupts;
    const line = (this.#line = new Line(below));
    return {
      signal: (vector) => {
        const { mode } = path;
        const isMessage = mode === 'msi' || mode === 'msix';
        if (!isMessage || !this.takes(vector)) return below.signal(vector);
        this.message(`${mode === 'msix' ? 'MSI-X' : 'MSI'} vector ${vector}`, () => below.signal(vector));
      },
      setIntx: (asserted) => {
        const changes = asserted !== line.level;
        line.level = asserted;
        if (changes && asserted && path.mode === 'intx' && this.takes(0)) this.rises(line);
        if (changes && !asserted) {
          line.isWithheld = false;
          this.falls(line);
        }
        line.update();
      },
    };
  }

  override reset(): void {
    super.reset();
    this.#line?.reset();
  }
}

export class DroppedInterrupt extends InterruptFault<InterruptDropped> {
  protected override message(name: string): void {
    this.fire(`${name} is dropped`);
  }

  protected override rises(line: Line): void {
    line.isWithheld = true;
    this.fire('INTx stays down until the card lets go of it and raises it anew');
  }
}

export class DelayedInterrupt extends InterruptFault<InterruptDelayed> {
  protected override message(name: string, send: () => void): void {
    this.fire(`${name} comes ${wordDuration(this.declaration.delayNs)} late`);
    this.later(this.declaration.delayNs, send);
  }

  protected override rises(line: Line): void {
    this.fire(`INTx rises ${wordDuration(this.declaration.delayNs)} late`);
    line.isWithheld = true;
    const rise = this.later(this.declaration.delayNs, () => {
      line.isWithheld = false;
      line.update();
    });
    this.#rise = rise;
  }

  protected override falls(): void {
    this.#rise?.cancel();
  }

  #rise: { cancel(): void } | undefined;
}

export class DuplicatedInterrupt extends InterruptFault<InterruptDuplicated> {
  #linger = false;

  protected override message(name: string, send: () => void): void {
    const { times = 2, gapNs = DEFAULT_GAP_NS } = this.declaration;
    this.fire(`${name} comes ${times} times`);
    send();
    for (let time = 1; time < times; time++) this.later(time * gapNs, send);
  }

  /** A level cannot come twice; it can stay up when its cause is gone, so that it interrupts again. */
  protected override rises(): void {
    this.#linger = true;
  }

  protected override falls(line: Line): void {
    if (!this.#linger) return;
    this.#linger = false;
    const { times = 2, gapNs = DEFAULT_GAP_NS } = this.declaration;
    this.fire(`INTx falls ${wordDuration((times - 1) * gapNs)} late`);
    line.isForced = true;
    this.later((times - 1) * gapNs, () => {
      line.isForced = false;
      line.update();
    });
  }

  override reset(): void {
    super.reset();
    this.#linger = false;
  }
}

/**
 * Holds back what completions write to memory (descriptors and write-back) until the interrupt that follows has gone; a
 * while only, for it may not come. Interrupts that follow no completion do not count.
 */
export class InterruptBeforeWriteBackFault extends InterruptFault<InterruptBeforeWriteBack> {
  #held: DmaCall[] = [];
  #release: { cancel(): void } | undefined;
  /** The card has written of completions since its last interrupt. */
  #hasCompleted = false;

  protected override takes(vector: number): boolean {
    if (vector !== (this.declaration.vector ?? vector)) return false;
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
      const { channel = call.by.channel } = this.declaration;
      if (!isCompletion(call) || channel !== call.by.channel) return call.perform();
      this.#hasCompleted = true;
      // What comes behind one that is held stays behind it.
      if (this.#held.length === 0 && !this.waitsFor.isNext) return call.perform();
      this.#held.push(call.kept());
      if (this.#release === undefined) this.#releaseAfter(MOST_HELD_NS);
      return Completion.DONE;
    });
  }

  override reset(): void {
    super.reset();
    this.#held = [];
    this.#release = undefined;
    this.#hasCompleted = false;
  }

  #overtakes(name: string): void {
    const { delayNs = DEFAULT_OVERTAKEN_NS } = this.declaration;
    const writes = this.#held.length;
    this.fire(
      `${name} comes ${wordDuration(delayNs)} before the ${writes} writes to memory that the card has made ahead of it`,
    );
    this.#releaseAfter(delayNs);
  }

  #releaseAfter(delayNs: number): void {
    this.#release?.cancel();
    this.#release = this.later(delayNs, () => {
      this.#release = undefined;
      for (const call of this.#held.splice(0)) performQuietly(call);
    });
  }
}
