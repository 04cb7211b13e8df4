/**
 * Faults at the card's accesses to host memory. They act between the part of the card that makes an access and the bus, so
 * that a trace shows the access as it was on the bus.
 */
import { Completion, DmaError, type DmaStage, FAILED_COMPLETIONS, PendingCompletion } from '../../../emulator/memory';
import { SparseMemory } from '../../../emulator/memory/sparse-memory';
import { wordDuration } from '../../trace';
import { type DmaCall, splitDma } from '../dma-call';
import { Fault, type FaultSite } from '../fault';
import { kind } from '../kind';
import { DmaMatcher } from '../matcher';
import { CHANNEL, DMA, type DmaMatch, ns, oneOf, required, whole, withDefault } from '../parameters';

export const DMA_KINDS = {
  'dma-delayed': kind({
    match: DMA,
    parameters: { delayNs: required(ns, 'how much later') },
    doc: 'The access is done later. The engine waits for it; other engines continue.',
    make: (site, given) =>
      new DmaFault(site, given, (call, fault) => {
        fault.fire(`${call} is done ${wordDuration(given.delayNs)} late`);
        const completion = new PendingCompletion();
        const abort = () => call.abort(completion);
        fault.later(given.delayNs, () => completion.endWith(() => call.perform()), abort);
        return completion;
      }),
  }),

  'dma-truncated': kind({
    match: DMA,
    parameters: { bytes: required(whole(0), 'how many are moved; 0: none') },
    doc: 'Only the first bytes are moved; for the card, all were. Where nothing was read, its buffer keeps what it had. Accesses that are no longer than `bytes` do not count.',
    make: (site, given) => {
      const { bytes } = given;
      const truncate = (call: DmaCall, fault: Fault) => {
        fault.fire(`${call} moves only ${bytes} bytes`);
        return bytes === 0 ? Completion.DONE : call.first(bytes).perform();
      };
      return new DmaFault(site, given, truncate, bytes);
    },
  }),

  'dma-corrupted': kind({
    match: DMA,
    parameters: {
      byte: withDefault(whole(0), 0, 'which byte; 0 is the first'),
      xor: withDefault(whole(1, 255), 1, 'the bits of it that are inverted'),
    },
    doc: 'Bits of one byte are inverted. In a trace, a write is corrupted; a read is what memory had, and the card receives it corrupted.',
    make: (site, given) => {
      const { byte, xor } = given;
      const corrupt = (call: DmaCall, fault: Fault) => {
        fault.fire(`${call}: byte ${byte} is XORed with 0x${xor.toString(16)}`);
        if (call.access === 'read') return call.perform().andThen(() => void (call.bytes[byte]! ^= xor));
        const changed = call.kept();
        changed.bytes[byte]! ^= xor;
        return changed.perform();
      };
      return new DmaFault(site, given, corrupt, byte);
    },
  }),

  'dma-duplicated': kind({
    match: DMA,
    parameters: { delayNs: withDefault(ns, 0, 'how much later') },
    doc: 'The access is done again, with the same bytes: a late write overwrites what is there by then.',
    make: (site, given) =>
      new DmaFault(site, given, (call, fault) => {
        const { delayNs } = given;
        fault.fire(`${call} is done twice${delayNs === 0 ? '' : `, again ${wordDuration(delayNs)} later`}`);
        const again = call.kept();
        return call.perform().andThen(() => {
          if (delayNs === 0) again.performQuietly();
          else fault.later(delayNs, () => again.performQuietly());
        });
      }),
  }),

  'dma-failed': kind({
    match: { ...CHANNEL, role: DMA.role },
    parameters: {
      reason: required(oneOf(...FAILED_COMPLETIONS), 'how it ends'),
      delayNs: withDefault(ns, 0, 'how much later; a completion time-out takes 50 us to 50 ms'),
    },
    doc: 'A read fails: its completion says so, or does not come. The part of the card that reads gets the reason in place of the bytes. Writes do not count: they are posted, have no completion and cannot fail.',
    make: (site, given) =>
      new DmaFault(site, { ...given, access: 'read' }, (call, fault) => {
        const { reason, delayNs } = given;
        fault.fire(`${call} fails${delayNs === 0 ? '' : `, ${wordDuration(delayNs)} later`}: ${reason}`);
        const failure = new DmaError(reason, call.access, call.iova, call.bytes.length);
        if (delayNs === 0) throw failure;
        const completion = new PendingCompletion();
        fault.later(
          delayNs,
          () => completion.fail(failure),
          () => call.abort(completion),
        );
        return completion;
      }),
  }),

  'descriptor-stale': kind({
    match: CHANNEL,
    roles: ['descriptor'],
    doc: 'A read of descriptors returns what the card last read or wrote there, or zeros. The trace shows memory as it was.',
    make: (site, given) => new StaleDescriptor(site, given),
  }),

  'reset-in-transfer': kind({
    match: DMA,
    roles: ['data'],
    doc: 'The access is not done, and the card is reset: as by its power-on reset, so it has neither addresses nor interrupts until its driver restores them. The default role is `data`.',
    make: (site, given) =>
      new DmaFault(site, { role: 'data', ...given }, (call, fault) => {
        fault.fire(`${call} is aborted: the card is reset`);
        const completion = new PendingCompletion();
        const abort = () => call.abort(completion);
        // In a task of its own: the card must not be reset while its own code runs.
        fault.later(0, () => (site.card.reset('power'), abort()), abort);
        return completion;
      }),
  }),
};

export class DmaFault extends Fault {
  readonly waitsFor: DmaMatcher;

  /** `act` replaces the accesses that are selected. `longerThan`: shorter ones do not count. */
  constructor(
    site: FaultSite,
    match: DmaMatch,
    private readonly act: (call: DmaCall, fault: Fault) => Completion,
    longerThan?: number,
  ) {
    super(site);
    this.waitsFor = new DmaMatcher(site.card, match, longerThan);
  }

  override dma(below: DmaStage): DmaStage {
    return splitDma(below, (call) => (this.waitsFor.takes(call) ? this.act(call, this) : call.perform()));
  }
}

/** Remembers what descriptors were when the card last read or wrote them; before that they were zeros. */
class StaleDescriptor extends Fault {
  readonly waitsFor: DmaMatcher;
  readonly #seen = new SparseMemory();

  constructor(site: FaultSite, match: DmaMatch) {
    super(site);
    this.waitsFor = new DmaMatcher(site.card, { ...match, access: 'read', role: 'descriptor' });
  }

  override dma(below: DmaStage): DmaStage {
    return splitDma(below, (call) => {
      const { by, iova, bytes } = call;
      const isStale = this.waitsFor.takes(call);
      if (by.role !== 'descriptor') return call.perform();
      if (!isStale) return call.perform().andThen(() => this.#seen.write(iova, bytes));
      this.fire(`${call} returns what the card last read or wrote there`);
      const was = new Uint8Array(bytes.length);
      this.#seen.read(iova, was);
      return call.perform().andThen(() => bytes.set(was));
    });
  }
}
