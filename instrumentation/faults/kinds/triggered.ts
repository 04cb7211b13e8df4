/** What happens at a time, or when the driver or the card does something: an interrupt of nothing, the end of the card. */
import { type Completion, DmaError, type DmaStage, PendingCompletion } from '../../../emulator/memory';
import { type InterruptStage } from '../../../emulator/pci';
import { type Device } from '../../../emulator/device';
import { type InterruptSpurious, type SurpriseRemoval } from '../parameters';
import { type DmaCall, splitDma } from '../dma-call';
import { DeviceStage, Fault, type FaultSite } from '../fault';
import { DEFAULT_GAP_NS, Line } from './interrupts';
import { AccessMatcher, DmaMatcher, InterruptMatcher } from '../matcher';

abstract class TriggeredFault<D extends InterruptSpurious | SurpriseRemoval> extends Fault<D> {
  readonly #matcher: AccessMatcher | DmaMatcher | InterruptMatcher | undefined;

  constructor(site: FaultSite, declaration: D) {
    super(site, declaration);
    const { card } = site;
    if ('atNs' in declaration) {
      site.clock.at(declaration.atNs, () => {
        if (!card.inspection.isClosed) this.happen();
      });
    } else if (declaration.on === 'dma') this.#matcher = new DmaMatcher(card, declaration);
    else if (declaration.on === 'interrupt') this.#matcher = new InterruptMatcher(card, declaration);
    else this.#matcher = new AccessMatcher(card, declaration, `${declaration.on}s`);
  }

  get waitsFor(): { describe(): string } {
    return this.#matcher ?? { describe: () => `device time ${'atNs' in this.declaration && this.declaration.atNs} ns` };
  }

  /** At its time, or when the driver is about to access the card. */
  protected abstract happen(): void;

  /** When the card accesses memory. */
  protected abstract happenAtDma(call: DmaCall): Completion;

  /** In a turn of its own: the card is in the midst of its own code. */
  protected soon(act: () => void): void {
    this.site.clock.after(0, () => {
      if (!this.site.card.inspection.isClosed) act();
    });
  }

  override dma(below: DmaStage): DmaStage {
    const matcher = this.#matcher;
    if (!(matcher instanceof DmaMatcher)) return below;
    return splitDma(below, (call) => {
      const isTaken = matcher.takes(call.access, call.by, call.iova, call.bytes.length);
      return isTaken ? this.happenAtDma(call) : call.perform();
    });
  }

  override device(below: Device): Device {
    const matcher = this.#matcher;
    if (!(matcher instanceof AccessMatcher)) return below;
    const { on } = this.declaration as { on?: string };
    const look = (region: number, offset: number, data: Uint8Array): void => {
      if (matcher.takes(region, offset, data.length)) this.happen();
    };
    return new DeviceStage(below, {
      ...(on === 'read' && {
        readRegion: (region, offset, data) => {
          look(region, offset, data);
          below.readRegion(region, offset, data);
        },
      }),
      ...(on === 'write' && {
        writeRegion: (region, offset, data) => {
          look(region, offset, data);
          below.writeRegion(region, offset, data);
        },
      }),
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
}

/** The card's link goes down, for good. In the midst of a DMA, that never comes to its end. */
export class Removal extends TriggeredFault<SurpriseRemoval> {
  protected override happen(): void {
    this.fire('the card is gone');
    this.site.link.goDown();
  }

  protected override happenAtDma(call: DmaCall): Completion {
    this.fire(`${call} never comes to its end: the card is gone`);
    const late = new PendingCompletion();
    this.soon(() => {
      this.site.link.goDown();
      late.fail(new DmaError('reset', call.access, call.iova, call.bytes.length));
    });
    return late;
  }
}

export class SpuriousInterrupt extends TriggeredFault<InterruptSpurious> {
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

  override reset(): void {
    super.reset();
    this.#line?.reset();
  }

  /** The line stands for a while: a level that falls again at once is none. */
  #interrupt(): void {
    const { mode } = this.site.card.inspection.interrupts;
    const { vector = 0, forNs = DEFAULT_GAP_NS } = this.declaration;
    if (mode === 'none') return;
    if (mode === 'intx') {
      const line = this.#line!;
      this.fire(`INTx rises for ${forNs} ns, and the card knows nothing of it`);
      line.isForced = true;
      this.later(forNs, () => {
        line.isForced = false;
        line.update();
      });
      return line.update();
    }
    this.fire(`${mode === 'msix' ? 'MSI-X' : 'MSI'} vector ${vector} is sent, and the card knows nothing of it`);
    this.#below!.signal(vector);
  }
}
