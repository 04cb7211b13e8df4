/**
 * A quiet driver, and an interrupt that cannot come: it is held back or lost, or nothing in the card will ever raise it.
 * The card cannot see whether a driver waits or has nothing to do. So a driver counts as waiting only if its last access
 * may be that of a driver that goes to sleep (not one of configuration space, as when a device is closed), and if it has a
 * reason to expect an interrupt.
 */
import { type DmaEvent, type InterruptPhase, Irq, Region } from '../../emulator/pci';
import { type CardTrace, wordInterrupt, wordMechanism } from '../trace';
import { accessed, by, deviceTime, type StallNotice, lastAccess, seconds, stateOf } from './notice';
import { type RaisedInterrupt, RaisedInterrupts } from './raised';
import { Writes } from './writes';

/** The command register, in configuration space (PCI Local Bus Spec 3.0, 6.2.2): Interrupt Disable is in its second byte. */
const COMMAND_END = 6;
const COMMAND = 4;

export class Waiting {
  readonly #raised = new RaisedInterrupts();
  readonly #writes: Writes;
  #isAsleep = false;
  #intxDelivered = 0;
  #isReported = false;

  constructor(
    private readonly trace: CardTrace,
    private readonly limitNs: number,
  ) {
    this.#writes = new Writes(trace);
  }

  /** The last accesses of a UIO driver that ends are of configuration space. */
  read(region: number): void {
    this.#isReported = false;
    this.#isAsleep = region !== Region.CONFIG;
  }

  write(region: number, offset: number, data: Uint8Array): void {
    this.#isReported = false;
    if (region !== Region.CONFIG) this.#writes.write(region, offset, data);
    // The last access of a UIO driver before it waits: it enables interrupts again.
    this.#isAsleep = region !== Region.CONFIG || (offset >= COMMAND && offset < COMMAND_END);
  }

  dma(event: DmaEvent): void {
    this.#writes.dma(event);
  }

  interrupt(phase: InterruptPhase, index: number, vector: number, reason?: RaisedInterrupt['reason']): void {
    this.#raised.saw(phase, index, vector, reason, this.trace.card.inspection.now());
    if (phase === 'raised') this.#writes.raised();
    if (phase === 'sent' && index === Irq.INTX) this.#intxDelivered++;
  }

  state(part: string, state: string): void {
    if (part === 'interrupts') {
      this.#raised.forget();
      this.#writes.interruptsChanged();
    }
    if (part === 'bus master' && state === 'off') this.#isAsleep = false; // a device that is being closed
  }

  fault(name: string): void {
    const nowNs = this.trace.card.inspection.now();
    this.#raised.fault(name, nowNs);
    this.#writes.fault(name, nowNs);
  }

  reset(): void {
    this.#raised.forget();
    this.#writes.forget();
    this.#isAsleep = false;
    this.#intxDelivered = 0;
  }

  /** To be called when the driver has been quiet for longer than the limit. */
  check(quietNs: number): StallNotice | undefined {
    if (this.#isReported || !this.#isAsleep) return undefined;
    const notice = this.#checkRaised(quietNs) ?? this.#checkLastWrite(quietNs);
    if (notice) this.#isReported = true;
    return notice;
  }

  #checkRaised(quietNs: number): StallNotice | undefined {
    const { card } = this.trace;
    const nowNs = card.inspection.now();
    for (const raised of this.#raised.all) {
      if (nowNs - raised.sinceNs < this.limitNs || !this.#isExpected(raised)) continue;
      return this.#notice(`${this.#wordRaised(raised)}.`, raised, quietNs);
    }
    return undefined;
  }

  /** Whether the driver has set this interrupt up. */
  #isExpected({ index, vector, reason }: RaisedInterrupt): boolean {
    const { card } = this.trace;
    const isConnected = this.trace.connectedVectors(index).includes(vector);
    if (reason === undefined) return isConnected && card.inspection.clock.waiting === 0; // it is not only late
    return index !== Irq.INTX || this.#intxDelivered > 0;
  }

  #wordRaised({ index, vector, sinceNs, reason, fault }: RaisedInterrupt): string {
    const raised = `${wordInterrupt(index, vector)} was raised at ${deviceTime(sinceNs)} and`;
    switch (reason) {
      case undefined:
        return `${raised} ${fault === undefined ? 'was lost' : `was dropped by the fault '${fault}'`}`;
      case 'masked':
        return `${raised} is held back: it is masked`;
      case 'disabled':
        return `${raised} is held back: Interrupt Disable is set in config:COMMAND since the last one`;
      case 'not-connected':
        return `${raised} is held back: no eventfd is connected to it, since the driver has masked it or never set it up`;
      case 'bus-master-off':
        return `${raised} is held back: Bus Master Enable is 0, and a message is a write to memory`;
    }
  }

  #checkLastWrite(quietNs: number): StallNotice | undefined {
    const { suspicion, lastFault } = this.#writes;
    const index = { none: -1, intx: Irq.INTX, msi: Irq.MSI, msix: Irq.MSIX }[
      this.trace.card.inspection.interrupts.mode
    ];
    const vectors = this.trace.connectedVectors(index);
    const write = lastAccess(this.trace, 'write');
    if (suspicion === undefined || vectors.length === 0 || write === undefined) return undefined;
    if (this.trace.card.inspection.clock.waiting > 0 || !this.#raised.isEmpty) return undefined;
    const { register, value } = accessed(this.trace, write);
    const what = `the write of ${value} to ${register} at ${deviceTime(write.timeNs)}${by(write)}`;
    const mechanism = index === Irq.INTX ? 'INTx' : `any vector of ${wordMechanism(index)}`;
    switch (suspicion) {
      case 'disturbed':
        return this.#notice(`${what} had no effect: the fault '${lastFault}' has fired on it.`, undefined, quietNs);
      case 'without-effect':
        return this.#notice(`${what} had no effect, unlike each one before.`, undefined, quietNs);
      case 'without-interrupt':
        // INTx is connected for every driver, whether it uses it or not.
        if (index === Irq.INTX) return undefined;
        return this.#notice(
          `${what} has started work that is done, and the card has not raised ${mechanism}: is it enabled in the card?`,
          undefined,
          quietNs,
        );
    }
  }

  #notice(why: string, interrupt: RaisedInterrupt | undefined, quietNs: number): StallNotice {
    const last = lastAccess(this.trace);
    const { register, value } = last ? accessed(this.trace, last) : { register: undefined, value: '' };
    const access = last ? `: ${last.kind} ${register} ${value} at ${deviceTime(last.timeNs)}${by(last)}` : '';
    const text =
      `the driver may be waiting for an interrupt that cannot come: ${why} ` +
      `It has done nothing for ${seconds(quietNs)}, its last access${access}. ${stateOf(this.trace)}`;
    return {
      kind: 'interrupt-cannot-come',
      text,
      ...(register !== undefined && { register }),
      ...(interrupt && { interrupt: { index: interrupt.index, vector: interrupt.vector } }),
    };
  }
}
