/**
 * What is left to say of a card at the end of a run: what it halted on, DMA that was refused, transfers that still run,
 * interrupts that nobody has taken. It takes the events of a card, as they happen or from a recording.
 *
 * A part of a card says that it has halted by a state that begins with `halted: CODE`, with `descriptor N` in it if the
 * reason lies in one (`PciCard.changed`).
 */
import { Irq } from '../../emulator/pci';
import { type EventContent } from './event';
import { printable } from './printable';
import { wordInterrupt } from './wording';

/** What is left to say of a card at the end of a run. */
export interface Finding {
  readonly kind: 'halted' | 'dma-refused' | 'still-running' | 'interrupt-not-taken' | 'error-unread';
  /** The part of the card: `H2C0`; an interrupt; a field; '' for DMA of no named channel. */
  readonly part: string;
  readonly times: number;
  /** One sentence: `H2C0 halted 3 times: NOT_OWNED, descriptors 1, 4, 7`. */
  readonly text: string;
}

/** With the number that `CardOutcome.take` was given with the last event that it is about. */
export type LocatedFinding = readonly [finding: Finding, at: number];

/** Parts of the PCI function itself, whose states are no work. */
const FUNCTION_PARTS: readonly string[] = ['memory decode', 'bus master', 'power', 'interrupts'];
/** Descriptors that are listed. */
const SHOWN = 8;

interface Halts {
  times: number;
  at: number;
  readonly reasons: Set<string>;
  readonly descriptors: Set<string>;
}

export class CardOutcome {
  readonly #halts = new Map<string, Halts>();
  /** By channel and reason. */
  readonly #refused = new Map<
    string,
    { channel: string; reason: string; times: number; firstIova: number; at: number }
  >();
  readonly #running = new Map<string, number>();
  /** Raised and not sent: by interrupt, how often; and those that a reset has dropped. */
  readonly #raised = new Map<number, number>();
  readonly #raisedAt = new Map<number, number>();
  readonly #dropped = new Map<number, number>();

  /** What is there to be said up to now, most serious first. */
  get findings(): readonly Finding[] {
    return this.located.map(([finding]) => finding);
  }

  get located(): readonly LocatedFinding[] {
    return [...this.#haltFindings(), ...this.#refusals(), ...this.#runningFindings(), ...this.#untaken()].map(
      ([finding, at]) => [{ ...finding, text: printable(finding.text) }, at],
    );
  }

  /** `at`: a number of the caller's for this event. */
  take(event: EventContent, at = 0): void {
    switch (event.kind) {
      case 'dma-read':
      case 'dma-write':
        if (event.error !== undefined) this.#refuse(event.channel, event.error, event.iova, at);
        return;
      case 'state':
        return this.#takeState(event.part, event.state, at);
      case 'interrupt': {
        const key = event.index * 65_536 + event.vector;
        if (event.phase === 'raised') {
          this.#raised.set(key, (this.#raised.get(key) ?? 0) + 1);
          this.#raisedAt.set(key, at);
        } else if (event.phase !== 'held') this.#raised.delete(key);
        return;
      }
      case 'reset':
        this.#running.clear();
        for (const [key, times] of this.#raised) this.#dropped.set(key, (this.#dropped.get(key) ?? 0) + times);
        this.#raised.clear();
    }
  }

  #takeState(part: string, state: string, at: number): void {
    if (part === 'interrupts') this.#raised.clear(); // another mechanism: pending messages are discarded
    if (FUNCTION_PARTS.includes(part)) return;
    if (state === 'running') this.#running.set(part, at);
    else this.#running.delete(part);
    const [, reason] = /^halted: (\w+)/.exec(state) ?? [];
    if (reason === undefined) return;
    let halts = this.#halts.get(part);
    if (halts === undefined)
      this.#halts.set(part, (halts = { times: 0, at, reasons: new Set(), descriptors: new Set() }));
    halts.times++;
    halts.at = at;
    halts.reasons.add(reason);
    const [, descriptor] = /\bdescriptor (\d+)/.exec(state) ?? [];
    if (descriptor !== undefined) halts.descriptors.add(descriptor);
  }

  #refuse(channel: string, reason: string, iova: number, at: number): void {
    const key = `${channel} ${reason}`;
    const known = this.#refused.get(key);
    if (known) Object.assign(known, { times: known.times + 1, at });
    else this.#refused.set(key, { channel, reason, times: 1, firstIova: iova, at });
  }

  #haltFindings(): LocatedFinding[] {
    return [...this.#halts].map(([part, { times, at, reasons, descriptors }]) => {
      const shown = [...descriptors].slice(0, SHOWN).join(', ');
      const more = descriptors.size > SHOWN ? ` and ${descriptors.size - SHOWN} more` : '';
      const where = shown === '' ? '' : `, ${descriptors.size === 1 ? 'descriptor' : 'descriptors'} ${shown}${more}`;
      const text = `${part} halted ${often(times)}: ${[...reasons].join(', ')}${where}`;
      return [{ kind: 'halted', part, times, text }, at];
    });
  }

  #refusals(): LocatedFinding[] {
    return [...this.#refused.values()].map(({ channel, reason, times, firstIova, at }) => {
      const first = `first at 0x${firstIova.toString(16)}`;
      const text = `DMA${channel && ` of ${channel}`} was refused ${often(times)}: ${reason}, ${first}`;
      return [{ kind: 'dma-refused', part: channel, times, text }, at];
    });
  }

  #runningFindings(): LocatedFinding[] {
    return [...this.#running].map(([part, at]) => [
      { kind: 'still-running', part, times: 1, text: `${part} is still running` },
      at,
    ]);
  }

  #untaken(): LocatedFinding[] {
    const all = new Map(this.#dropped);
    for (const [key, times] of this.#raised) all.set(key, (all.get(key) ?? 0) + times);
    return [...all].map(([key, times]) => {
      const [index, vector] = [Math.floor(key / 65_536), key % 65_536];
      const part = index === Irq.INTX ? 'INTx' : wordInterrupt(index, vector);
      const text = `${part} was raised and never taken, ${often(times)}`;
      return [{ kind: 'interrupt-not-taken', part, times, text }, this.#raisedAt.get(key)!];
    });
  }
}

const often = (times: number): string => (times === 1 ? 'once' : times === 2 ? 'twice' : `${times} times`);
