/**
 * What befalls an access to host memory between the part of the card that makes it and the bus: below is what a trace
 * shows, so it is what has really been moved.
 */
import { Completion, DmaError, type DmaStage, PendingCompletion } from '../../../emulator/memory';
import { SparseMemory } from '../../../emulator/memory/sparse-memory';
import { wordDuration } from '../../trace';
import {
  type DescriptorStale,
  type DmaCorrupted,
  type DmaDelayed,
  type DmaDuplicated,
  type DmaMatch,
  type DmaTruncated,
  type ResetInTransfer,
  type WriteBackBeforeData,
} from '../parameters';
import { type DmaCall, performQuietly, splitDma } from '../dma-call';
import { Fault, type FaultSite } from '../fault';
import { DEFAULT_OVERTAKEN_NS } from './interrupts';
import { DmaMatcher } from '../matcher';

type Declaration = ConstructorParameters<typeof Fault>[1];

abstract class DmaFault<D extends Declaration> extends Fault<D> {
  readonly waitsFor: DmaMatcher;

  constructor(site: FaultSite, declaration: D, match: DmaMatch, longerThan?: number) {
    super(site, declaration);
    this.waitsFor = new DmaMatcher(site.card, match, longerThan);
  }

  /** In place of an access that is taken. */
  protected abstract act(call: DmaCall): Completion;

  override dma(below: DmaStage): DmaStage {
    return splitDma(below, (call) => {
      const isTaken = this.waitsFor.takes(call.access, call.by, call.iova, call.bytes.length);
      return isTaken ? this.act(call) : call.perform();
    });
  }
}

export class DelayedDma extends DmaFault<DmaDelayed> {
  constructor(site: FaultSite, declaration: DmaDelayed) {
    super(site, declaration, declaration);
  }

  protected override act(call: DmaCall): Completion {
    const { delayNs } = this.declaration;
    const { access, iova, bytes } = call;
    this.fire(`${call} is done ${wordDuration(delayNs)} late`);
    const late = new PendingCompletion();
    this.later(
      delayNs,
      () => late.endWith(() => call.perform()),
      () => late.fail(new DmaError('reset', access, iova, bytes.length)),
    );
    return late;
  }
}

export class TruncatedDma extends DmaFault<DmaTruncated> {
  constructor(site: FaultSite, declaration: DmaTruncated) {
    super(site, declaration, declaration, declaration.bytes);
  }

  /** The card is not told: it takes what is left of its buffer for what it has read. */
  protected override act(call: DmaCall): Completion {
    const { bytes } = this.declaration;
    this.fire(`${call} moves ${bytes} bytes`);
    return bytes === 0 ? Completion.DONE : call.first(bytes).perform();
  }
}

export class CorruptedDma extends DmaFault<DmaCorrupted> {
  constructor(site: FaultSite, declaration: DmaCorrupted) {
    super(site, declaration, declaration, declaration.byte ?? 0);
  }

  protected override act(call: DmaCall): Completion {
    const { byte = 0, xor = 1 } = this.declaration;
    this.fire(`${call}: byte ${byte} is turned over by 0x${xor.toString(16)}`);
    if (call.access === 'read') return call.perform().andThen(() => void (call.bytes[byte]! ^= xor));
    const changed = call.kept();
    changed.bytes[byte]! ^= xor;
    return changed.perform();
  }
}

export class DuplicatedDma extends DmaFault<DmaDuplicated> {
  constructor(site: FaultSite, declaration: DmaDuplicated) {
    super(site, declaration, declaration);
  }

  protected override act(call: DmaCall): Completion {
    const { delayNs = 0 } = this.declaration;
    this.fire(`${call} is done twice${delayNs === 0 ? '' : `, again ${wordDuration(delayNs)} later`}`);
    const again = call.kept();
    return call.perform().andThen(() => {
      if (delayNs === 0) performQuietly(again);
      else this.later(delayNs, () => performQuietly(again));
    });
  }
}

export class WriteBackBeforeDataFault extends DmaFault<WriteBackBeforeData> {
  constructor(site: FaultSite, declaration: WriteBackBeforeData) {
    super(site, declaration, { ...declaration, access: 'write', role: 'data' });
  }

  /** Posted: the card takes it for done, and goes on to tell its driver so. */
  protected override act(call: DmaCall): Completion {
    const { delayNs = DEFAULT_OVERTAKEN_NS } = this.declaration;
    this.fire(`${call} reaches memory ${wordDuration(delayNs)} late; what the card writes after it comes first`);
    const kept = call.kept();
    this.later(delayNs, () => performQuietly(kept));
    return Completion.DONE;
  }
}

/** Remembers what descriptors were when the card last read or wrote them; before that they were zeros. */
export class StaleDescriptor extends Fault<DescriptorStale> {
  readonly waitsFor: DmaMatcher;
  readonly #seen = new SparseMemory();

  constructor(site: FaultSite, declaration: DescriptorStale) {
    super(site, declaration);
    this.waitsFor = new DmaMatcher(site.card, { ...declaration, access: 'read', role: 'descriptor' });
  }

  override dma(below: DmaStage): DmaStage {
    return splitDma(below, (call) => {
      const { access, by, iova, bytes } = call;
      const isStale = this.waitsFor.takes(access, by, iova, bytes.length);
      if (by.role !== 'descriptor') return call.perform();
      if (!isStale) return call.perform().andThen(() => this.#seen.write(iova, bytes));
      this.fire(`${call} gets what was there when the card last looked`);
      const was = new Uint8Array(bytes.length);
      this.#seen.read(iova, was);
      return call.perform().andThen(() => bytes.set(was));
    });
  }
}

/** The access hangs, and the card is reset in a turn of its own: it must not be in the midst of its own code. */
export class TransferReset extends DmaFault<ResetInTransfer> {
  constructor(site: FaultSite, declaration: ResetInTransfer) {
    super(site, declaration, { role: 'data', ...declaration });
  }

  protected override act(call: DmaCall): Completion {
    this.fire(`${call} is cut short: the card is reset`);
    const late = new PendingCompletion();
    const failed = new DmaError('reset', call.access, call.iova, call.bytes.length);
    const end = () => late.fail(failed);
    this.later(
      0,
      () => {
        this.site.card.reset();
        end();
      },
      end,
    );
    return late;
  }
}
