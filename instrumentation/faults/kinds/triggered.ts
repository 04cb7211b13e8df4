/** Faults that a device time or an event triggers, and one of them: surprise removal. */
import { type Device } from '../../../emulator/device';
import { type Completion, type DmaStage, PendingCompletion } from '../../../emulator/memory';
import { type InterruptStage } from '../../../emulator/pci';
import { type ResetKind } from '../../../emulator/registers';
import { type DmaCall, splitDma } from '../dma-call';
import { accessStage, Fault, type FaultSite } from '../fault';
import { kind, type Trigger } from '../kind';
import { AccessMatcher, DmaMatcher, InterruptMatcher, ResetMatcher } from '../matcher';

export const CARD_KINDS = {
  'surprise-removal': kind({
    triggers: ['read', 'write', 'dma', 'interrupt', 'reset'],
    doc: 'The card is removed for good: reads return all ones, writes are discarded, its engines stop. With `dma`, the access does not complete; with `interrupt`, it is still sent. The guest is not notified; `plugged.unplug()` does that, as for any card that [was removed](testing.md#hot-plug).',
    make: (site, given) => new SurpriseRemoval(site, given),
  }),
};

export abstract class TriggeredFault<Given extends Trigger> extends Fault {
  readonly #matcher: AccessMatcher | DmaMatcher | InterruptMatcher | ResetMatcher | undefined;

  constructor(
    site: FaultSite,
    protected readonly given: Given,
  ) {
    super(site);
    const trigger: Trigger = given;
    const { card } = site;
    if ('atNs' in trigger) site.clock.at(trigger.atNs, () => this.#unlessClosed(() => this.happen()));
    else if (trigger.on === 'dma') this.#matcher = new DmaMatcher(card, trigger);
    else if (trigger.on === 'interrupt') this.#matcher = new InterruptMatcher(card, trigger);
    else if (trigger.on === 'reset') this.#matcher = new ResetMatcher(card, trigger);
    else this.#matcher = new AccessMatcher(card, trigger, `${trigger.on}s`);
  }

  get waitsFor(): { describe(): string } {
    return this.#matcher ?? { describe: () => `device time ${'atNs' in this.given && this.given.atNs} ns` };
  }

  /** At its time, or when the driver is about to access the card. */
  protected abstract happen(): void;

  /** In place of an access of the card to memory. */
  protected abstract happenAtDma(call: DmaCall): Completion;

  /** In a task of its own: the card's own code may be running. */
  protected soon(act: () => void): void {
    this.site.clock.after(0, () => this.#unlessClosed(act));
  }

  override reset(kind: ResetKind): void {
    super.reset(kind);
    const matcher = this.#matcher;
    if (matcher instanceof ResetMatcher && matcher.takes(kind)) this.soon(() => this.happen());
  }

  override dma(below: DmaStage): DmaStage {
    const matcher = this.#matcher;
    if (!(matcher instanceof DmaMatcher)) return below;
    return splitDma(below, (call) => (matcher.takes(call) ? this.happenAtDma(call) : call.perform()));
  }

  override device(below: Device): Device {
    const matcher = this.#matcher;
    if (!(matcher instanceof AccessMatcher)) return below;
    const call = 'on' in this.given && this.given.on === 'read' ? 'readRegion' : 'writeRegion';
    return accessStage(below, {
      [call]: (region: number, offset: number, data: Uint8Array) => {
        if (matcher.takes(region, offset, data.length)) this.happen();
        below[call](region, offset, data);
      },
    });
  }

  override interrupts(below: InterruptStage): InterruptStage {
    const matcher = this.#matcher;
    if (!(matcher instanceof InterruptMatcher)) return below;
    const path = this.site.card.inspection.interrupts;
    let level = false;
    return {
      signal: (vector) => {
        below.signal(vector);
        if (/^msix?$/.test(path.mode) && matcher.takes(vector)) this.soon(() => this.happen());
      },
      setIntx: (asserted) => {
        below.setIntx(asserted);
        const rises = asserted && !level;
        level = asserted;
        if (rises && path.mode === 'intx' && matcher.takes(0)) this.soon(() => this.happen());
      },
    };
  }

  #unlessClosed(act: () => void): void {
    if (!this.site.card.inspection.isClosed) act();
  }
}

class SurpriseRemoval extends TriggeredFault<Trigger> {
  protected override happen(): void {
    this.fire('the card is removed');
    this.site.link.goDown();
  }

  protected override happenAtDma(call: DmaCall): Completion {
    this.fire(`${call} never completes: the card is removed`);
    const completion = new PendingCompletion();
    this.soon(() => {
      this.site.link.goDown();
      call.abort(completion);
    });
    return completion;
  }
}
