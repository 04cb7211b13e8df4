/** A card in a guest, as a test holds it: the model on this side, the device on the other, and the hand on the slot. */
import { type FaultCount, type FaultDeclaration, faultsOf } from '../instrumentation/faults';
import { type CardEnvironment, PciCard } from '../emulator/pci';
import { type CardFactory } from '../instrumentation/served-card';
import { type CardTrace, traceOf } from '../instrumentation/trace';
import { type BoundCard, type BoundPlatformDevice } from '../qemu/launch';
import { type Rig } from '../qemu/rig';
import { tellingCaller } from './caller';
import { refuseUnknownOptions } from './options';
import { isInReport } from './matchers/history';

/** A card's class, or a function that makes one. */
export type CardSource<Card extends PciCard> =
  (new (environment: Required<CardEnvironment>) => Card) | CardFactory<Card>;

/** Drivers that the guest has; or any other, of a module that the test has loaded. */
export type DriverName =
  | 'uio_pci_generic'
  | 'vfio-pci'
  | 'uio_pdrv_genirq'
  | 'uio_dmem_genirq'
  | 'vfio-platform'
  | 'none'
  | (string & Record<never, never>);

export interface PlugOptions {
  /** The driver that is to have the card. Left out: what the guest's kernel finds, if anything. */
  readonly driver?: DriverName;
  /** What the card is called in reports. Default: the name of its class. */
  readonly name?: string;
  /** How long QEMU waits for the card's answer to an access. Default 5000. */
  readonly answerTimeoutMs?: number;
  /** What is to befall the card (docs/faults.md); one that takes its place is as it should be. */
  readonly faults?: readonly FaultDeclaration[];
}

const OPTIONS: Readonly<Record<keyof Required<PlugOptions>, true>> = {
  driver: true,
  name: true,
  answerTimeoutMs: true,
  faults: true,
};

export interface RemovalOptions {
  /** How long the driver may take to let go. Default 20 s, less than a test has. */
  readonly timeoutMs?: number;
}

export class PluggedCard<Card extends PciCard = PciCard> {
  /** One after the other; the last is the one of now. */
  readonly #cards: Card[] = [];
  readonly #make: CardFactory<Card>;
  /** Where it is, or was when it was taken out; undefined while no driver has taken it. */
  #bound: BoundCard | undefined;
  /** The driver of now. */
  #driver: DriverName | undefined;
  /** It does not answer any more. */
  #isSevered = false;
  /** Its driver has not let go of it when it was to be taken out. */
  #isHeld = false;

  /** Use `TestGuest.plug`. */
  constructor(
    private readonly rig: Rig,
    readonly name: string,
    make: CardFactory<Card>,
    private readonly options: PlugOptions,
  ) {
    refuseUnknownOptions('guest.plug', options, OPTIONS);
    // Known from the moment that it is made: if the guest does not take it, its trace says more than anything else.
    this.#make = (environment) => {
      const card = make(environment);
      this.#cards.push(card);
      isInReport(card);
      return card;
    };
  }

  /** The model; another one after `replug` and `restart`. */
  get card(): Card {
    return this.#cards.at(-1)!;
  }

  get trace(): CardTrace {
    return traceOf(this.card);
  }

  /** Of every card that has been here, the one of now last. */
  get traces(): readonly CardTrace[] {
    return this.#cards.map(traceOf);
  }

  /** What has become of the faults that were declared for it. */
  get faults(): readonly FaultCount[] {
    return this.#cards.flatMap((card) => faultsOf(card)?.counts ?? []);
  }

  /** Those that were to fire, and have not. */
  get unfiredFaults(): readonly FaultCount[] {
    return this.#cards.flatMap((card) => faultsOf(card)?.unfired ?? []);
  }

  get isPlugged(): boolean {
    return this.rig.cards.includes(this.name);
  }

  /** Whether it is plugged in, and its driver has taken it. */
  get isReady(): boolean {
    return this.isPlugged && this.#bound !== undefined;
  }

  /** Whether it was to be taken out, and its driver has not let go of it in time. */
  get isHeld(): boolean {
    return this.isPlugged && this.#isHeld;
  }

  /** Where the guest sees the card, such as '0000:01:00.0', or has seen it last. */
  get pciAddress(): string {
    return this.#place().pciAddress;
  }

  /** The driver's device node, such as '/dev/uio0'; empty when it has none. */
  get node(): string {
    return this.#place().node;
  }

  /** What the card has become under a driver for platform devices, in the order of its table; else nothing. */
  get platformDevices(): readonly BoundPlatformDevice[] {
    return this.#place().platformDevices ?? [];
  }

  /** Gives the card to another driver. */
  bind(driver: DriverName): Promise<void> {
    return tellingCaller(this.bind, async () => {
      this.#whenPlugged();
      this.#bound = undefined;
      this.#driver = driver;
      this.#bound = await this.rig.bind(this.name, driver);
    });
  }

  /** Takes the card out in good order: the driver's `remove` has run when this resolves. */
  unplug(limit: RemovalOptions = {}): Promise<void> {
    return tellingCaller(this.unplug, () => this.#leave(limit));
  }

  /** Pulls the card out: from this moment on the driver reads all ones; then the guest is told. */
  surpriseRemove(limit: RemovalOptions = {}): Promise<void> {
    return tellingCaller(this.surpriseRemove, () => {
      this.#isSevered = true;
      return this.#leave(limit);
    });
  }

  /** The card's link goes down, and the guest is not told: the driver reads all ones. */
  severLink(): void {
    this.#whenPlugged();
    this.rig.severLink(this.name);
    this.#isSevered = true;
  }

  /** Puts a new card of the same kind in, under the driver that it was plugged in with, after `unplug` or `surpriseRemove`. */
  replug(): Promise<void> {
    return tellingCaller(this.replug, async () => {
      if (this.isPlugged)
        throw new Error(`The card '${this.name}' is plugged in: unplug it before it is plugged in again.`);
      const { driver, answerTimeoutMs, faults } = this.options;
      await this.#comes(
        this.rig.plug({
          name: this.name,
          make: this.#make,
          ...(driver !== undefined && { driver }),
          ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
          ...(faults && this.#cards.length === 0 && { faults }),
        }),
      );
    });
  }

  /** The process that the card lives in is lost, and a new one takes its place, while the guest lives. */
  restart(): Promise<void> {
    return tellingCaller(this.restart, async () => {
      this.#whenPlugged();
      await this.#comes(this.rig.restartCard(this.name));
    });
  }

  /** What it is, where, and under which driver. */
  describe(): string {
    const kind = this.#cards.length === 0 ? [] : [this.card.constructor.name];
    const address = this.#bound === undefined ? [] : [`at ${this.#bound.pciAddress}`];
    const driver = this.#driver === undefined ? [] : [this.#driver];
    const state = this.isPlugged ? [...address, ...driver] : ['not plugged in'];
    return `${this.name} (${[...kind, ...state].join(', ')})`;
  }

  /** With one that does not answer any more, the guest is not to try what it does with one that does. */
  async #leave(limit: RemovalOptions): Promise<void> {
    this.#whenPlugged();
    this.#isHeld = true;
    if (this.#isSevered || this.rig.isSevered(this.name)) await this.rig.surpriseRemove(this.name, limit);
    else await this.rig.unplug(this.name, limit);
    this.#isHeld = false;
  }

  /** A card that its driver refuses is plugged in all the same. */
  async #comes(coming: Promise<BoundCard>): Promise<void> {
    this.#bound = undefined;
    this.#isSevered = false;
    this.#driver = this.options.driver;
    this.#bound = await coming;
  }

  #whenPlugged(): void {
    if (!this.isPlugged) throw new Error(`The card '${this.name}' is not plugged in: it has been taken out.`);
  }

  #place(): BoundCard {
    if (this.#bound) return this.#bound;
    this.#whenPlugged();
    throw new Error(`The card '${this.name}' is plugged in, but not ready for use: plugging or binding it has failed.`);
  }
}

export function factoryOf<Card extends PciCard>(source: CardSource<Card>): CardFactory<Card> {
  if (typeof source !== 'function') {
    const made: unknown = source;
    const hint = made instanceof PciCard ? ', not one that has been made' : `, not ${String(made)}`;
    throw new TypeError(
      `guest.plug takes a card's class, or a function that makes a card${hint}: a card gets the clock and the memory of ` +
        'its place when it is plugged in: guest.plug(MyCard), guest.plug((environment) => new MyCard(environment))',
    );
  }
  if (!isClass(source)) return source;
  return (environment) => new source(environment);
}

/** `BlinkCard` -> `blink-card`; for a function that has no name of its own, `card`. */
export function nameOf(source: CardSource<PciCard>): string {
  const name = isClass(source) ? source.name : '';
  return name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase() || 'card';
}

function isClass<Card extends PciCard>(source: CardSource<Card>): source is new (e: Required<CardEnvironment>) => Card {
  return source.prototype instanceof PciCard;
}
