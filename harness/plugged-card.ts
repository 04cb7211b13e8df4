/** A card in a guest, for a test: its model, its device in the guest, and its hot-plug slot. */
import { type FaultCount, type FaultDeclaration, faultsOf } from '../instrumentation/faults/index.ts';
import { type CardEnvironment, MultifunctionCard, PciCard } from '../emulator/pci/index.ts';
import { type Provenance } from '../instrumentation/provenance.ts';
import { type CardFactory } from '../instrumentation/served-card.ts';
import { type CardTrace, traceOf } from '../instrumentation/trace/index.ts';
import { type BoundCard, type BoundPlatformDevice } from '../qemu/launch/index.ts';
import { type Rig } from '../qemu/rig/index.ts';
import { withCaller } from './caller.ts';
import { refuseUnknownOptions } from './options.ts';
import { isInReport } from './matchers/history.ts';

/** A card's class, or a function that makes one. */
export type CardSource<Card extends PciCard> =
  (new (environment: Required<CardEnvironment>) => Card) | CardFactory<Card>;

/** Drivers that the guest has; or any other, from a module that the test has loaded. */
export type DriverName =
  | 'uio_pci_generic'
  | 'vfio-pci'
  | 'uio_pdrv_genirq'
  | 'uio_dmem_genirq'
  | 'vfio-platform'
  | 'none'
  | (string & Record<never, never>);

/** How a card is plugged in. */
export interface PlugOptions {
  /** The driver for the card. Default: what the guest's kernel finds, if anything. */
  readonly driver?: DriverName;
  /** What the card is called in reports. Default: the name of its class. */
  readonly name?: string;
  /** How long QEMU waits for the card's answer to an access. Default 5000. */
  readonly answerTimeoutMs?: number;
  /** Faults to inject into the card (docs/faults.md); a card that takes its place has none. */
  readonly faults?: readonly FaultDeclaration[];
}

const OPTIONS: Readonly<Record<keyof Required<PlugOptions>, true>> = {
  driver: true,
  name: true,
  answerTimeoutMs: true,
  faults: true,
};

/** How long a removal may take. */
export interface RemovalOptions {
  /** How long the driver may take to release the card. Default 20 s, less than the limit of a test. */
  readonly timeoutMs?: number;
}

/** A card in the guest of a test: its model, its device in the guest, and its slot. */
export class PluggedCard<Card extends PciCard = PciCard> {
  /** One after the other; the last is the present one. */
  readonly #cards: Card[] = [];
  readonly #make: CardFactory<Card>;
  /** Where it is, or was before it was unplugged; undefined while no driver is bound. */
  #bound: BoundCard | undefined;
  /** The present driver. */
  #driver: DriverName | undefined;
  /** Its link is down. */
  #isSevered = false;
  /** Its driver has not released it when it was to be unplugged. */
  #isHeld = false;

  /** @internal Use `TestGuest.plug`. */
  constructor(
    private readonly rig: Rig,
    readonly name: string,
    make: CardFactory<Card>,
    private readonly options: PlugOptions,
  ) {
    refuseUnknownOptions('guest.plug', options, OPTIONS);
    // Kept from the moment that it is made: if it cannot be plugged in, its trace says most about the reason.
    this.#make = (environment) => {
      const card = make(environment);
      this.#cards.push(card);
      isInReport(card);
      return card;
    };
  }

  /** The model; a new one after `replug` and `restart`. */
  get card(): Card {
    return this.#cards.at(-1)!;
  }

  get trace(): CardTrace {
    return traceOf(this.card);
  }

  /** Of all its cards, the present one last. */
  get traces(): readonly CardTrace[] {
    return this.#cards.map(traceOf);
  }

  /** The faults that were declared for it, and how often each has fired. */
  get faults(): readonly FaultCount[] {
    return this.#cards.flatMap((card) => faultsOf(card)?.counts ?? []);
  }

  /** Those that should have fired, and have not. */
  get unfiredFaults(): readonly FaultCount[] {
    return this.#cards.flatMap((card) => faultsOf(card)?.unfired ?? []);
  }

  get isPlugged(): boolean {
    return this.rig.cards.includes(this.name);
  }

  /** Whether it is plugged in, and bound to its driver. */
  get isReady(): boolean {
    return this.isPlugged && this.#bound !== undefined;
  }

  /** Whether it was to be unplugged, and its driver has not released it in time. */
  get isHeld(): boolean {
    return this.isPlugged && this.#isHeld;
  }

  /** The card's present or last address in the guest, such as '0000:01:00.0'. */
  get pciAddress(): string {
    return this.#place().pciAddress;
  }

  /** The driver's device node, such as '/dev/uio0'; empty when it has none. */
  get node(): string {
    return this.#place().node;
  }

  /** The platform devices of the card under a driver for those, in the order of its table; else none. */
  get platformDevices(): readonly BoundPlatformDevice[] {
    return this.#place().platformDevices ?? [];
  }

  /**
   * Whose bytes memory holds now, from an address of the card on: runs of bytes with who wrote them last, the driver's
   * function, file and line or the DMA that they came from, and who has read them. Rejects without
   * `guestTest({ observe: true })`, or `checkDma`.
   */
  provenance(iova: number, sizeBytes: number): Promise<readonly Provenance[]> {
    return withCaller(this.provenance, () => this.rig.provenance(this.name, iova, sizeBytes));
  }

  /** Binds the card to another driver. */
  bind(driver: DriverName): Promise<void> {
    return withCaller(this.bind, async () => {
      this.#requirePlugged();
      this.#bound = undefined;
      this.#driver = driver;
      this.#bound = await this.rig.bind(this.name, driver);
    });
  }

  /** Unplugs the card in an orderly way: the driver's `remove` has run when this resolves. */
  unplug(limit: RemovalOptions = {}): Promise<void> {
    return withCaller(this.unplug, () => this.#remove(limit));
  }

  /** Surprise removal: from this moment on the driver reads all ones; then the guest is notified. */
  surpriseRemove(limit: RemovalOptions = {}): Promise<void> {
    return withCaller(this.surpriseRemove, () => {
      this.#isSevered = true;
      return this.#remove(limit);
    });
  }

  /** Takes the card's link down without notifying the guest: the driver reads all ones. */
  severLink(): void {
    this.#requirePlugged();
    this.rig.severLink(this.name);
    this.#isSevered = true;
  }

  /** Plugs in a new card of the same kind, under the original driver, after `unplug` or `surpriseRemove`. */
  replug(): Promise<void> {
    return withCaller(this.replug, async () => {
      if (this.isPlugged)
        throw new Error(`The card '${this.name}' is plugged in: unplug it before it is plugged in again.`);
      const { driver, answerTimeoutMs, faults } = this.options;
      await this.#insert(
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

  /** As if the process that serves the card had ended: the card is lost, and a new one takes its place. */
  restart(): Promise<void> {
    return withCaller(this.restart, async () => {
      this.#requirePlugged();
      await this.#insert(this.rig.restartCard(this.name));
    });
  }

  /** For reports: its name, class, address and driver. */
  describe(): string {
    const kind = this.#cards.length === 0 ? [] : [this.card.constructor.name];
    const address = this.#bound === undefined ? [] : [`at ${this.#bound.pciAddress}`];
    const driver = this.#driver === undefined ? [] : [this.#driver];
    const state = this.isPlugged ? [...address, ...driver] : ['not plugged in'];
    return `${this.name} (${[...kind, ...state].join(', ')})`;
  }

  /** When its link is down, the guest must not try an orderly removal. */
  async #remove(limit: RemovalOptions): Promise<void> {
    this.#requirePlugged();
    this.#isHeld = true;
    if (this.#isSevered || this.rig.isSevered(this.name)) await this.rig.surpriseRemove(this.name, limit);
    else await this.rig.unplug(this.name, limit);
    this.#isHeld = false;
  }

  /** A card that its driver refuses stays plugged in. */
  async #insert(coming: Promise<BoundCard>): Promise<void> {
    this.#bound = undefined;
    this.#isSevered = false;
    this.#driver = this.options.driver;
    this.#bound = await coming;
  }

  #requirePlugged(): void {
    if (!this.isPlugged) throw new Error(`The card '${this.name}' is not plugged in: it has been unplugged.`);
  }

  #place(): BoundCard {
    if (this.#bound) return this.#bound;
    this.#requirePlugged();
    throw new Error(`The card '${this.name}' is plugged in, but not ready for use: plugging or binding it has failed.`);
  }
}

export function factoryOf<Card extends PciCard>(source: CardSource<Card>): CardFactory<Card> {
  const given: unknown = source;
  if (given instanceof MultifunctionCard || (typeof given === 'function' && isMultifunction(given.prototype))) {
    throw new TypeError(
      'guest.plug takes a card with one function, and a MultifunctionCard has several. Use the rig: await ' +
        "guest.rig.plug({ name: 'card', makeMultifunction: () => new MyCard(), driver: ['vfio-pci', 'none'] }); its " +
        "functions are 'card.0', 'card.1' … in guest.rig.card and guest.rig.guest.pciAddressOf",
    );
  }
  if (typeof source !== 'function') {
    const made: unknown = source;
    const hint = made instanceof PciCard ? ', not a card' : `, not ${String(made)}`;
    throw new TypeError(
      `guest.plug takes a card's class, or a function that makes a card${hint}: a card receives its clock and its memory ` +
        'when it is plugged in. Write guest.plug(MyCard) or guest.plug((environment) => new MyCard(environment))',
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

const isMultifunction = (prototype: unknown): boolean => prototype instanceof MultifunctionCard;

function isClass<Card extends PciCard>(source: CardSource<Card>): source is new (e: Required<CardEnvironment>) => Card {
  return source.prototype instanceof PciCard;
}
