/**
 * Faults of a card's interrupts. They act on the way from the function to the client: what the function shows of them
 * (pending bits, Interrupt Status) is as without faults. A message comes once, late, twice or never. The INTx line is a
 * level: a fault at its assertion lasts until it changes next.
 */
import { type Completion } from '../../../emulator/memory';
import { type InterruptStage } from '../../../emulator/pci';
import { type ResetKind } from '../../../emulator/registers';
import { wordDuration } from '../../trace';
import { type DmaCall } from '../dma-call';
import { Fault, type FaultSite } from '../fault';
import { kind, type Trigger } from '../kind';
import { InterruptMatcher } from '../matcher';
import { INTERRUPT, type InterruptMatch, ns, required, whole, withDefault } from '../parameters';
import { TriggeredFault } from './triggered';

/** Longer than QEMU takes to notice: what comes faster is one interrupt to the guest. */
const DEFAULT_GAP_NS = 100_000;

export const INTERRUPT_KINDS = {
  'interrupt-dropped': kind({
    match: INTERRUPT,
    doc: 'The message is not sent. The INTx line stays deasserted until the card has deasserted it and asserts it again.',
    make: (site, given) => new DroppedInterrupt(site, given),
  }),

  'interrupt-delayed': kind({
    match: INTERRUPT,
    parameters: { delayNs: required(ns, 'how much later') },
    doc: 'The message is sent later; messages after it overtake it. The INTx line is asserted later, if its cause is still there.',
    make: (site, given) => new DelayedInterrupt(site, given),
  }),

  'interrupt-duplicated': kind({
    match: INTERRUPT,
    parameters: {
      times: withDefault(whole(2, 1000), 2, 'how often in all'),
      gapNs: withDefault(ns, DEFAULT_GAP_NS, 'from one to the next; QEMU merges interrupts that come faster'),
    },
    doc: 'The message is sent more than once. The INTx line stays asserted for `(times - 1) * gapNs` after the card has deasserted it, so that it interrupts again without a cause.',
    make: (site, given) => new DuplicatedInterrupt(site, given),
  }),

  'interrupt-spurious': kind({
    triggers: ['read', 'write', 'dma', 'reset'],
    parameters: {
      vector: withDefault(whole(0, 2047), 0, 'of the message'),
      forNs: withDefault(whole(1), DEFAULT_GAP_NS, 'how long the INTx line is asserted'),
    },
    doc: 'An interrupt that the card has not raised. While the card has no interrupts enabled, nothing happens.',
    make: (site, given) => new SpuriousInterrupt(site, given),
  }),
};

/** The INTx line as the card drives it, and what a fault makes of it. */
class Line {
  /** As the card drives it. */
  level = false;
  /** The card's level does not come through. */
  isWithheld = false;
  /** It is asserted whatever the card does. */
  private isForced = false;

  constructor(private readonly below: InterruptStage) {}

  update(): void {
    this.below.setIntx((this.level && !this.isWithheld) || this.isForced);
  }

  /** Asserts it for so long. */
  force(fault: Fault, forNs: number): void {
    this.isForced = true;
    this.update();
    fault.later(forNs, () => {
      this.isForced = false;
      this.update();
    });
  }

  /** The function's own line is deasserted after a reset. */
  reset(): void {
    this.level = this.isWithheld = this.isForced = false;
  }
}

export abstract class InterruptFault<Given extends InterruptMatch> extends Fault {
  readonly waitsFor: InterruptMatcher;
  #line: Line | undefined;

  constructor(
    site: FaultSite,
    protected readonly given: Given,
  ) {
    super(site);
    this.waitsFor = new InterruptMatcher(site.card, given);
  }

  /** A message is raised; `send` sends it. */
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
        this.message(wordVector(mode, vector), () => below.signal(vector));
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

  override reset(kind: ResetKind): void {
    super.reset(kind);
    this.#line?.reset();
  }
}

const wordVector = (mode: 'msi' | 'msix', vector: number): string =>
  `${mode === 'msix' ? 'MSI-X' : 'MSI'} vector ${vector}`;

class DroppedInterrupt extends InterruptFault<InterruptMatch> {
  protected override message(name: string): void {
    this.fire(`${name} is dropped`);
  }

  protected override rises(line: Line): void {
    line.isWithheld = true;
    this.fire('INTx stays deasserted until the card deasserts it and asserts it again');
  }
}

class DelayedInterrupt extends InterruptFault<InterruptMatch & { readonly delayNs: number }> {
  #rise: { cancel(): void } | undefined;

  protected override message(name: string, send: () => void): void {
    const { delayNs } = this.given;
    this.fire(`${name} comes ${wordDuration(delayNs)} late`);
    this.later(delayNs, send);
  }

  protected override rises(line: Line): void {
    const { delayNs } = this.given;
    this.fire(`INTx is asserted ${wordDuration(delayNs)} late`);
    line.isWithheld = true;
    this.#rise = this.later(delayNs, () => {
      line.isWithheld = false;
      line.update();
    });
  }

  protected override falls(): void {
    this.#rise?.cancel();
  }
}

class DuplicatedInterrupt extends InterruptFault<InterruptMatch & { readonly times: number; readonly gapNs: number }> {
  #lingers = false;

  protected override message(name: string, send: () => void): void {
    const { times, gapNs } = this.given;
    this.fire(`${name} comes ${times} times`);
    send();
    for (let time = 1; time < times; time++) this.later(time * gapNs, send);
  }

  /** A level cannot come twice; it can stay when its cause is gone, so that it interrupts again. */
  protected override rises(): void {
    this.#lingers = true;
  }

  protected override falls(line: Line): void {
    if (!this.#lingers) return;
    this.#lingers = false;
    const lateNs = (this.given.times - 1) * this.given.gapNs;
    this.fire(`INTx is deasserted ${wordDuration(lateNs)} late`);
    line.force(this, lateNs);
  }

  override reset(kind: ResetKind): void {
    super.reset(kind);
    this.#lingers = false;
  }
}

class SpuriousInterrupt extends TriggeredFault<Trigger & { readonly vector: number; readonly forNs: number }> {
  #line: Line | undefined;
  #below: InterruptStage | undefined;

  override interrupts(below: InterruptStage): InterruptStage {
    const line = (this.#line = new Line(below));
    this.#below = below;
    return {
      signal: (vector) => below.signal(vector),
      setIntx: (asserted) => {
        line.level = asserted;
        line.update();
      },
    };
  }

  protected override happen(): void {
    this.soon(() => this.#interrupt());
  }

  protected override happenAtDma(call: DmaCall): Completion {
    this.happen();
    return call.perform();
  }

  override reset(kind: ResetKind): void {
    super.reset(kind);
    this.#line?.reset();
  }

  /** The line is asserted for a while: a level that falls again at once is none. */
  #interrupt(): void {
    const { mode } = this.site.card.inspection.interrupts;
    const { vector, forNs } = this.given;
    if (mode === 'msi' || mode === 'msix') {
      this.fire(`${wordVector(mode, vector)} is sent, which the card has not raised`);
      this.#below!.signal(vector);
    } else if (mode === 'intx') {
      this.fire(`INTx is asserted for ${wordDuration(forNs)}, not by the card`);
      this.#line!.force(this, forNs);
    }
  }
}
