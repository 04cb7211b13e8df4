/** Gives a card the stimuli of a trace, one after the other, until it diverges from the trace. */
import { DeviceError } from '../../emulator/device';
import { type SlotLink } from '../faults';
import { type CardTrace, type StimulusEvent, wordTime } from '../trace';
import { type Comparison } from './comparison';
import { type OutsideWorld } from './outside';
import { type ReplayClock, stimulate } from './stimuli';

export interface PlayerOptions {
  readonly trace: CardTrace;
  readonly clock: ReplayClock;
  readonly comparison: Comparison;
  readonly outside: OutsideWorld;
  readonly link: SlotLink;
}

export class Player {
  constructor(private readonly options: PlayerOptions) {}

  /** To the end of the trace, or to the first divergence. */
  async play(): Promise<void> {
    const { comparison } = this.options;
    while (!comparison.isOver && comparison.next !== undefined) {
      if (comparison.next.kind === 'nested') comparison.skip();
      const found = comparison.nextStimulus();
      const isAtOnce = found !== undefined && (found.index === comparison.at || this.#isOfRead(found.stimulus));
      if (!isAtOnce) {
        // Effects without a stimulus: the model does something later, in a continuation of a promise.
        if (await this.#letContinue()) continue;
        return found ? comparison.diverge() : comparison.endsEarly();
      }
      this.#perform(found.stimulus, found.index);
      if (found.stimulus.kind.startsWith('dma')) await drained();
      if (!comparison.isOver && comparison.at <= found.index) comparison.diverge();
    }
  }

  /** Whether the effects that come next may be those of a read, which is recorded after them. */
  #isOfRead({ kind, timeNs }: StimulusEvent): boolean {
    return kind === 'read' && this.options.comparison.next?.timeNs === timeNs;
  }

  /** Lets continuations of the model run at the time of the next effect; returns whether anything happened. */
  async #letContinue(): Promise<boolean> {
    const { comparison, clock } = this.options;
    const { at, next } = comparison;
    clock.moveTo(next!.timeNs);
    await drained();
    return comparison.at > at;
  }

  #perform(stimulus: StimulusEvent, index: number): void {
    const { comparison, outside, clock } = this.options;
    clock.moveTo(stimulus.timeNs);
    comparison.during(stimulus, () => {
      try {
        outside.watch(() => this.#act(stimulus, index));
      } catch (error) {
        // A client's mistake, which the card refused in the recording too.
        if (!(error instanceof DeviceError)) comparison.diverge({ thrown: error });
      }
    });
  }

  #act(stimulus: StimulusEvent, index: number): void {
    if (stimulus.kind === 'task') this.#runTask();
    else if (stimulus.kind === 'dma-read' || stimulus.kind === 'dma-write') this.options.comparison.complete(index);
    else if (stimulus.kind === 'link-down') this.options.trace.linkDown(() => this.options.link.goDown());
    else stimulate(this.options.trace.device, stimulus, () => this.#performNested());
  }

  #runTask(): void {
    const { clock, comparison } = this.options;
    const task = clock.takeDue();
    if (task) return task();
    const { nextDueNs } = clock;
    const instead =
      nextDueNs === undefined ? 'it has scheduled none' : `the next is due at ${wordTime(nextDueNs).trim()}`;
    comparison.diverge({ note: `the card has no work that is due now: ${instead}` });
  }

  /** A driver in this process accessed the card in the call that notified it of an interrupt. */
  #performNested(): void {
    const { comparison } = this.options;
    while (!comparison.isOver && comparison.next?.kind === 'nested') {
      const { at } = comparison;
      const found = comparison.nextStimulus(at + 1);
      if (found) this.#perform(found.stimulus, found.index);
      if (comparison.at === at) return;
    }
  }
}

/** Resolves when all continuations that can run have run. */
const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
