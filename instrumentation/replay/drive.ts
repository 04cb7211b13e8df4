/**
 * A trace in place of the driver, for a card that is being changed: what was done to the card is done again in the same
 * order, and the card answers as it does now. Where the driver got an interrupt or a write-back before it continued,
 * the trace waits until the card has done that too.
 */
import { SlotLink } from '../faults';
import { privateMemory } from '../../emulator/pci';
import { type CardDescription, type EventSink, readTrace, type Trace, type TraceEvent, traceOf } from '../trace';
import { DeviceError } from '../../emulator/device';
import { cardEvents, damageNotes } from './card-events';
import { kept } from './event-equality';
import { GuestMemory } from './guest-memory';
import { applyRecordedFaults, otherModel } from './model';
import { type DriverStep, driverSteps, signOf } from './recorded-driver';
import { type MakeCard } from './replay';
import { ReplayClock, stimulate } from './stimuli';

/** Which card of the trace, and how long the trace waits for the card. */
export interface DriveOptions {
  /** Which card of the trace: its name or its number. Not needed where there is one. */
  readonly card?: string | number;
  /** How long to wait, in device time, for what the driver waited for. Default: one second. */
  readonly patienceNs?: number;
}

/** How far a trace could drive the card, and the new trace. */
export interface DriveResult {
  /** What the card did and what was done to it, as a trace: to be written, compared, or examined. */
  readonly trace: Trace;
  readonly events: readonly TraceEvent[];
  /** What else is to be known, such as that the card is another model. */
  readonly notes: readonly string[];
  /** What the driver waited for, and the card did not do in time. */
  readonly missing: readonly { readonly before: TraceEvent; readonly what: string }[];
  /** How many bytes of host memory the card read that the trace does not know: they read as 0. */
  readonly unknownBytes: number;
  /** Errors that the card threw. */
  readonly thrown: readonly unknown[];
}

const PATIENCE_NS = 1e9;
/** Tasks that run in one wait: a card that keeps scheduling work for now must not block the run for ever. */
const MOST_TASKS = 1_000_000;

/** Drives the card that `make` makes as the recorded one was driven. `trace` may be a file. Throws ReplayError. */
export function drive(trace: Trace | string, make: MakeCard, options: DriveOptions = {}): DriveResult {
  const whole = typeof trace === 'string' ? readTrace(trace) : trace;
  const { description, events } = cardEvents(whole, options.card);
  return new Drive(description, make, options.patienceNs ?? PATIENCE_NS).run(whole, driverSteps(events));
}

class Drive {
  readonly #clock = new ReplayClock();
  readonly #events: TraceEvent[] = [];
  readonly #done = new Map<string, number>();
  readonly #missing: { before: TraceEvent; what: string }[] = [];
  readonly #thrown: unknown[] = [];
  /** How far the card is behind the trace. */
  #lateNs = 0;

  constructor(
    private readonly description: CardDescription,
    private readonly make: MakeCard,
    private readonly patienceNs: number,
  ) {}

  run(whole: Trace, steps: readonly DriverStep[]): DriveResult {
    const { name, faults } = this.description;
    const card = this.make({ clock: this.#clock, allocate: privateMemory });
    try {
      const other = otherModel(this.description, card);
      const trace = traceOf(card);
      trace.record(this.#sink(), { name, faults });
      let memory!: GuestMemory;
      card.inspection.dma.insertAtMemory((mapped) => (memory = new GuestMemory(mapped, card.coherence)));
      const link = new SlotLink(card);
      applyRecordedFaults(this.description, card, link, other);
      const { device } = card.inspection;
      for (const { stimulus, stores, done } of steps) {
        this.#reach(stimulus, done);
        for (const { address, bytes } of stores) memory.memory.write(address, bytes);
        this.#attempt(() => {
          if (stimulus.kind === 'link-down') trace.linkDown(() => link.goDown());
          else stimulate(device, stimulus, () => {});
        });
      }
      this.#runUntil(this.#clock.now() + this.patienceNs, () => false);
      const timeNs = this.#clock.now();
      const events: TraceEvent[] = [...this.#events, { kind: 'end', card: 0, timeNs: 0, hostNs: timeNs }];
      const { unknownBytes } = memory;
      const driven = { header: { ...whole.header, payloads: 'full', lostEvents: 0 } as const, events, isEnded: true };
      const notes = [...(other === undefined ? [] : [other]), ...damageNotes(whole)];
      return { trace: driven, notes, events, missing: this.#missing, unknownBytes, thrown: this.#thrown };
    } finally {
      card.close();
    }
  }

  /** Waits for the next step: for its time in the trace, and for everything that the driver may have waited for. */
  #reach(stimulus: TraceEvent, awaited: ReadonlyMap<string, number>): void {
    const timeNs = stimulus.timeNs + this.#lateNs;
    // Work that is due at the time of the step comes after it, as a doorbell's work comes after the doorbell.
    this.#runUntil(timeNs - 1, () => false);
    this.#clock.moveTo(Math.max(timeNs, this.#clock.now()));
    const isDone = () => [...awaited].every(([sign, times]) => (this.#done.get(sign) ?? 0) >= times);
    if (isDone()) return;
    this.#runUntil(this.#clock.now() + this.patienceNs, isDone);
    this.#lateNs = Math.max(this.#lateNs, this.#clock.now() - stimulus.timeNs);
    for (const [sign, times] of awaited) {
      const seen = this.#done.get(sign) ?? 0;
      if (seen >= times) continue;
      this.#missing.push({ before: stimulus, what: `${sign}: ${seen} of ${times}` });
      this.#done.set(sign, times); // reported once
    }
  }

  /** Runs tasks up to a time, each at its own, or until `isDone`. */
  #runUntil(timeNs: number, isDone: () => boolean): void {
    for (let tasks = 0; tasks < MOST_TASKS && !isDone(); tasks++) {
      const dueNs = this.#clock.nextDueNs;
      if (dueNs === undefined || dueNs > timeNs) break;
      this.#clock.moveTo(Math.max(dueNs, this.#clock.now()));
      this.#attempt(() => this.#clock.takeDue()?.());
    }
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof DeviceError)) this.#thrown.push(error);
    }
  }

  #sink(): EventSink {
    return {
      payloads: 'full',
      largestPayloadBytes: Infinity,
      disablesMmap: false,
      nextCard: () => 1,
      record: (event) => {
        const sign = signOf(event);
        if (sign !== undefined) this.#done.set(sign, (this.#done.get(sign) ?? 0) + 1);
        this.#events.push({ ...kept(event), hostNs: event.timeNs } as TraceEvent);
      },
    };
  }
}
