/**
 * Finds DMA races: accesses of the same bytes by a card and by the guest's processors, at least one of them a write, of which
 * none comes before the other. Whether it went wrong this time does not matter.
 *
 * Both sides are looked at. What the driver has stored is marked by the plugin in QEMU (`SharedFile.shadow`), and is looked
 * at here when a card accesses it: it must come before the last register write that has arrived. What a card has done is
 * marked here (`SharedFile.cardShadow`), and is looked at by the plugin when the driver accesses it: it must come before
 * something that the driver has seen.
 *
 * Sources: PCI Express Base Specification 5.0, 2.4; Linux Documentation/memory-barriers.txt.
 */
import { bytesOf, type Completion, type DmaInitiator, type DmaStage, type Word } from '../../emulator/memory';
import { BAR_COUNT, type CardEvent, type PciCard, Region } from '../../emulator/pci';
import {
  type Doorbell,
  type DriverAccess,
  type ObservedCard,
  type ObservedRace,
  physicalRanges,
  type RamRange,
  type SharedFile,
} from '../observer';
import { CARD_MARK, MARK, MARKED_BYTES, MAX_PLACES, PAGE_BYTES } from '../observer/layout';
import { bytesBetween, placeOf, type Shadow } from '../observer/shadow';
import { type Disorder, Order } from './order';
import { type Step, Steps } from './steps';
import { ToldErrors } from './told-errors';

/** Code of the driver that takes part in a race. */
export type DriverSide = Pick<DriverAccess, 'pid' | 'pc' | 'isKernel' | 'comm'> & {
  /** Where the function that it is in returns to, and its callers, as far as that is known. */
  readonly callers: readonly bigint[];
};

/** What a driver does to memory. */
export type Doing = 'writes' | 'reads' | 'gives back';

export interface Race {
  /**
   * What is wrong with what the driver has done: it was `late`, after the doorbell, or `unordered`, without a barrier ahead
   * of it; it was done where the card has `unseen` done something.
   */
  readonly what: Disorder | 'unseen' | 'unfenced';
  readonly does: Doing;
  readonly driver: DriverSide;
  /** The memory is that of the ring of a channel that is running: the step is the last one there, some time ago. */
  readonly isRing: boolean;
  /** Of the driver's access, or of the word that it is about; physical. */
  readonly address: number;
  readonly step: Step;
}

const INTX = 0;

export class RaceDetector {
  readonly #steps = new Steps();
  readonly #races: Race[] = [];
  /** Of those that were found when a card accessed memory: each once in a round. */
  readonly #known = new Set<string>();
  /** The same of rings of channels that are running, each once. */
  readonly #knownRings = new Set<string>();
  /** How many races of the plugin have been taken. */
  #taken = 0;
  /** What cards that are running hold. */
  readonly #rings: (() => void)[] = [];

  constructor(private readonly file: SharedFile) {}

  /** Watches a card from now on. Returns what is known of the errors that it writes to memory. */
  watch(card: PciCard, name: string, observed: ObservedCard): ToldErrors {
    const { events, dma } = card.inspection;
    const writes = new RegisterWrites(observed, (look, order) => this.#judge(look, order));
    observed.onOrigin((access, isWrite) => isWrite && writes.known(access));
    const errors = new ToldErrors(card, this.file);
    const running = new RunningChannels();
    const lookAtRings = (): void => {
      for (const { step, memory } of running.rings)
        this.#lookAtRing({ ...step, doorbell: writes.last }, memory, writes);
    };
    this.#rings.push(lookAtRings);
    const interrupts = new Interrupts(() => this.file.saw('interrupted', this.#steps.last));
    events.subscribe((event) => {
      errors.take(event);
      if (card.inspection.interruptsPushWrites) interrupts.take(event);
      if (event.kind === 'write') lookAtRings(); // as long as the card has not acted on it
      running.take(event);
      writes.take(event);
      this.#take(event);
    });
    const takeStep = (by: DmaInitiator, isWrite: boolean, isStatus: boolean, iova: number, sizeBytes: number): void => {
      const { channel, role } = by;
      const timeNs = card.inspection.now();
      const step = { card: name, channel, role, isWrite, iova, sizeBytes, timeNs, doorbell: writes.last };
      const memory = physicalRanges(card, this.file.machine, iova, sizeBytes);
      this.#look(step, memory, isStatus, writes);
      this.#mark(step, memory, isStatus);
      running.took(step, memory);
      interrupts.stepped();
    };
    const takeStatus = (by: DmaInitiator, iova: number, data: Uint8Array) => errors.write(by, iova, data);
    dma.insertAtMemory((memory) => new RaceStage(memory, takeStep, takeStatus));
    return errors;
  }

  /** Everything in the guest comes after all that cards have done by now; a place is reported again. */
  beginRound(): void {
    this.file.saw('settled', this.#steps.last);
    this.file.beginRound();
    this.#known.clear();
  }

  /** What has been found since the last call. */
  takeRaces(): Race[] {
    for (const lookAtRings of this.#rings) lookAtRings();
    const { next, races } = this.file.races(this.#taken);
    this.#taken = next;
    for (const race of races) this.#addUnseen(race);
    return this.#races.splice(0);
  }

  #take(event: CardEvent): void {
    switch (event.kind) {
      case 'read':
        return this.file.saw(event.region === Region.CONFIG ? 'configured' : 'answered', this.#steps.last);
      case 'write':
        if (event.region === Region.CONFIG) this.file.saw('configured', this.#steps.last);
        return;
      case 'reset':
      case 'disconnected':
        this.file.saw('settled', this.#steps.last);
    }
  }

  /** Marks what a card is about to access: nobody can have seen it before. */
  #mark(step: Step, memory: readonly RamRange[], isStatus: boolean): void {
    const low = (step.isWrite ? CARD_MARK.isWritten : 0) | (isStatus ? CARD_MARK.isStatus : 0);
    const number = this.#steps.add(step);
    for (const { address, sizeBytes } of memory) {
      this.file.step(address, sizeBytes, number);
      this.file.cardShadow.set(address, sizeBytes, low, number, CARD_MARK.bytesAt);
    }
  }

  /** Looks for what the driver may not do before: stores, and loads of what the card writes; to give the memory back. */
  #look(step: Step, memory: readonly RamRange[], isStatus: boolean, writes: RegisterWrites): void {
    if (step.doorbell === undefined) return;
    for (const range of memory) {
      this.#lookAt(this.file.released, 'gives back', step, range, writes);
      if (isStatus) continue;
      this.#lookAt(this.file.shadow, 'writes', step, range, writes);
      if (step.isWrite) this.#lookAt(this.file.loads, 'reads', step, range, writes);
    }
  }

  /** A channel that is running has its ring, whether it accesses it now or not. */
  #lookAtRing(step: Step, memory: readonly RamRange[], writes: RegisterWrites): void {
    if (step.doorbell === undefined) return;
    for (const range of memory) this.#lookAt(this.file.released, 'gives back', step, range, writes, true);
  }

  #lookAt(
    shadow: Shadow,
    does: Doing,
    step: Step,
    { address: start, sizeBytes }: RamRange,
    writes: RegisterWrites,
    isRing = false,
  ): void {
    const end = start + sizeBytes;
    shadow.each(start, sizeBytes, ({ words }, first, last, at) => {
      const begin = at - (at % MARKED_BYTES);
      let looked = 0;
      for (let index = first; index <= last; index++) {
        const high = words[2 * index + 1]!;
        if (high === looked) continue;
        const low = words[2 * index]!;
        const place = placeOf(low);
        if (place >= MAX_PLACES && does !== 'gives back') continue;
        if (writes.order.disorderOf(high) !== undefined) {
          const address = begin + (index - first) * MARKED_BYTES;
          const isTouched = ((low >>> MARK.bytesAt) & bytesBetween(address, start, end)) !== 0;
          if (!isTouched) continue;
          const caller = does === 'writes' ? this.file.callerOf(place) : undefined;
          writes.judge({ step, isRing, does, high, place, caller, address });
        }
        looked = high;
      }
    });
  }

  /** The last register write before the step is in `order` now. */
  #judge({ step, isRing, does, high, place, caller, address }: Look, order: Order): void {
    const what = order.disorderOf(high);
    const last = step.doorbell?.by;
    if (what === undefined || last === undefined) return;
    if (what === 'unordered' && does !== 'writes') return; // the processor may be earlier, and does no harm then
    const driver = does === 'gives back' ? this.file.releaseOf(place) : this.#accessorAt(place, caller, address, last);
    if (driver === undefined) return;
    // A ring that has been given back stays so, whoever is the driver then.
    const known = isRing ? this.#knownRings : this.#known;
    const key = `${step.card} ${what} ${does} ${driver.pc} ${driver.callers.join(' ')}${isRing ? ` ${high}` : ''}`;
    if (known.has(key)) return;
    known.add(key);
    this.#races.push({ what, does, driver, address, step, isRing });
  }

  #accessorAt(place: number, caller: bigint | undefined, address: number, last: DriverAccess): DriverSide | undefined {
    const pc = this.file.addressOf(place);
    if (pc === undefined) return undefined;
    const isKernel = pc >> 63n === 1n;
    const pid = isKernel ? 0 : this.file.ownerOf(Math.floor(address / PAGE_BYTES));
    const comm = pid === last.pid ? last.comm : '';
    return { pc, isKernel, pid, comm, callers: caller === undefined ? [] : [caller] };
  }

  #addUnseen(race: ObservedRace): void {
    const { address, isWrite, isRelease, lacksBarrier } = race;
    const step = this.#steps.at(race.step);
    const driver = isRelease ? this.file.releaseOf(Number(race.pc)) : race;
    if (step === undefined || driver === undefined) return;
    const does = isRelease ? 'gives back' : isWrite ? 'writes' : 'reads';
    this.#races.push({
      what: lacksBarrier ? 'unfenced' : 'unseen',
      does,
      driver,
      address,
      step,
      isRing: false,
    });
  }
}

/** What a card was about to access: what the driver has done there last. */
interface Look {
  readonly step: Step;
  readonly isRing: boolean;
  readonly does: Doing;
  /** Upper bits of the mark. */
  readonly high: number;
  /** Number of the place, or of the release. */
  readonly place: number;
  /** Of a store: who has called the code there, if that is known. */
  readonly caller: bigint | undefined;
  readonly address: number;
}

/**
 * The register writes of a card. What the driver has done before each is known a moment after it has arrived, and maybe
 * after the card has acted on it: what the card has looked at is judged then.
 */
class RegisterWrites {
  readonly order = new Order();
  /** Those that have arrived and are not known, with what is to be judged then. */
  readonly #unknown: { readonly looks: Look[] }[] = [];

  constructor(
    private readonly observed: ObservedCard,
    private readonly onJudge: (look: Look, order: Order) => void,
  ) {}

  /** The last one that has been taken. */
  last: Doorbell | undefined;

  take(event: CardEvent): void {
    if (event.kind !== 'write' || event.region >= BAR_COUNT) return;
    this.last = this.observed.doorbells.last;
    this.#unknown.push({ looks: [] });
  }

  /** Whose the first one is that was not known. */
  known(access: DriverAccess | undefined): void {
    const first = this.#unknown.shift();
    if (first === undefined || access === undefined) return;
    this.order.wrote(access);
    for (const look of first.looks) this.onJudge(look, this.order);
  }

  /** Judges it as soon as the last register write is known. */
  judge(look: Look): void {
    const last = this.#unknown.at(-1);
    if (last === undefined) this.onJudge(look, this.order);
    else last.looks.push(look);
  }
}

/** Channels that say that they are running, and may access memory. */
class RunningChannels {
  readonly #running = new Set<string>();
  /** Where each channel has read a descriptor last. */
  readonly #rings = new Map<string, { readonly step: Step; readonly memory: readonly RamRange[] }>();
  #isMaster = false;

  get rings(): { readonly step: Step; readonly memory: readonly RamRange[] }[] {
    return this.#isMaster ? [...this.#running].flatMap((channel) => this.#rings.get(channel) ?? []) : [];
  }

  took(step: Step, memory: readonly RamRange[]): void {
    if (step.role === 'descriptor' && !step.isWrite) this.#rings.set(step.channel, { step, memory });
  }

  take(event: CardEvent): void {
    if (event.kind === 'reset' || event.kind === 'disconnected') this.#rings.clear();
    if (event.kind !== 'state') return;
    const { part, state } = event;
    if (part === 'bus master') this.#isMaster = state === 'on';
    else if (state === 'running') this.#running.add(part);
    else if (this.#running.delete(part)) this.#rings.delete(part);
  }
}

/** Interrupts: what the card has done comes before they are taken, also what it does while one is on its way. */
class Interrupts {
  readonly #pending = new Set<number>();

  constructor(private readonly push: () => void) {}

  stepped(): void {
    if (this.#pending.size > 0) this.push();
  }

  take(event: CardEvent): void {
    if (event.kind !== 'interrupt') return;
    this.push();
    const { phase, index, vector } = event;
    const number = index * 4096 + vector;
    if (phase === 'lowered' || (phase === 'sent' && index !== INTX)) this.#pending.delete(number);
    else this.#pending.add(number);
  }
}

type TakeStep = (by: DmaInitiator, isWrite: boolean, isStatus: boolean, iova: number, sizeBytes: number) => void;

/**
 * The stage right above memory. What a card stores as one word, or writes back, is status: a driver may wait for it. So are
 * the fields of descriptors that it writes.
 */
class RaceStage implements DmaStage {
  constructor(
    private readonly below: DmaStage,
    private readonly take: TakeStep,
    private readonly takeStatus: (by: DmaInitiator, iova: number, data: Uint8Array) => void,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    this.take(by, false, by.role === 'write-back', iova, into.length);
    return this.below.read(by, iova, into);
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    this.take(by, true, by.role === 'write-back' || by.role === 'descriptor', iova, from.length);
    if (by.role !== 'data') this.takeStatus(by, iova, from);
    return this.below.write(by, iova, from);
  }

  store(by: DmaInitiator, iova: number, value: Word): Completion {
    this.take(by, true, by.role !== 'data', iova, typeof value === 'bigint' ? 8 : 4);
    if (by.role !== 'data') this.takeStatus(by, iova, bytesOf(value));
    return this.below.store(by, iova, value);
  }
}
