/** Serves a card to a vfio-user client, with its instruments: wall clock, memory that can be mapped, socket. */
import { GuardedClock, TimerfdAlarm, WallClock } from '../emulator/clock';
import { FittedCard, type FitOptions } from './fitted-card';
import { type ObservedCard } from './observer';
import { loadNative } from '../emulator/native';
import { type CardEnvironment, type IntxRelease, type MultifunctionCard, type PciCard } from '../emulator/pci';
import { traceOf } from './trace';
import { watchdog } from '../emulator/watchdog';
import { type Occupant, Seat } from './seat';

export { type NoticeOptions } from './fitted-card';

/** Makes a card in its environment: a clock, and memory. */
export type CardFactory<Card extends PciCard = PciCard> = (environment: Required<CardEnvironment>) => Card;

/** Where a card is served, and with which instruments. */
export interface ServeCardOptions extends FitOptions {
  readonly socketPath: string;
  /** Cards that have been removed from their slots: this one takes the place of the first whose client would not notice. */
  readonly removed?: readonly ServedCard[];
}

/** A card that is served to a vfio-user client at a socket, until it is closed. */
export class ServedCard<Card extends PciCard = PciCard> implements AsyncDisposable {
  private hasEnded = false;

  private constructor(
    private readonly fitted: FittedCard<Card>,
    private seat: Seat | undefined,
    /** Where the client finds the card. */
    readonly socketPath: string,
    /** Whether the client is connected already: to a card whose place this one has taken. */
    readonly isReplacement: boolean,
    private readonly clock: WallClock,
    private readonly watch: Disposable,
  ) {}

  /** Rejects, with nothing left behind, when the card cannot be made or the socket cannot be listened on. */
  static async start<Card extends PciCard>(
    make: CardFactory<Card>,
    { removed = [], ...options }: ServeCardOptions,
  ): Promise<ServedCard<Card>> {
    const served = await ServedCard.serve(
      [make],
      () => options,
      removed.map((card) => [card]),
    );
    return served[0] as ServedCard<Card>;
  }

  /**
   * Serves the functions of a card, each at a socket of its own. They share device time. `removed`: the functions of cards
   * that have been removed from their slots; these take the place of the first whose client would not notice.
   */
  static startFunctions(
    card: MultifunctionCard,
    optionsOf: (index: number) => Omit<ServeCardOptions, 'removed'>,
    removed: readonly (readonly ServedCard[])[] = [],
  ): Promise<readonly ServedCard[]> {
    const makes = card.functions.map(
      (_, index) => (environment: CardEnvironment) => card.makeFunction(index, environment),
    );
    return ServedCard.serve(makes, optionsOf, removed);
  }

  private static async serve(
    makes: readonly CardFactory[],
    optionsOf: (index: number) => Omit<ServeCardOptions, 'removed'>,
    removed: readonly (readonly ServedCard[])[],
  ): Promise<readonly ServedCard[]> {
    const native = loadNative();
    const watch = watchdog.watch();
    const replaceable = removed.filter(
      (functions) => functions.length === makes.length && functions.every(({ seat }) => seat !== undefined),
    );
    const sockets: string[] = [];
    const fitted = makes.map((_, index) => {
      const { socketPath, ...options } = optionsOf(index);
      sockets.push(socketPath);
      return new FittedCard(options, native, replaceable[0]?.[index]?.fitted.memory);
    });
    const clock = new WallClock({
      alarm: new TimerfdAlarm(native),
      isStarted: false,
      onError: (error) => fitted[0]!.threw(error),
      onWorked: () => {
        for (const { card } of fitted) (card as PciCard | undefined)?.inspection.events.changed();
      },
    });
    const served: ServedCard[] = [];
    try {
      for (const [index, each] of fitted.entries()) {
        each.fit(makes[index]!, makes.length === 1 ? clock : new GuardedClock(clock, (error) => each.threw(error)));
      }
      clock.start();
      const occupants = fitted.map((each) => each.occupant(clock));
      const places = replaceable.find((functions) => functions.every(({ seat }, at) => seat!.fits(occupants[at]!)));
      for (const [index, occupant] of occupants.entries()) {
        const place = places?.[index];
        const seat = place ? place.yieldTo(occupant) : await Seat.start(occupant, sockets[index]!, native);
        const path = place?.socketPath ?? sockets[index]!;
        const { observed } = fitted[index]!;
        if (observed) observed.socketPath = path;
        served.push(new ServedCard(fitted[index]!, seat, path, place !== undefined, clock, watch));
      }
      return served;
    } catch (error) {
      clock.close();
      for (const { seat } of served) await seat?.server.close();
      for (const each of fitted) each.close();
      watch[Symbol.dispose]();
      throw error;
    }
  }

  get card(): Card {
    return this.fitted.card;
  }

  /** What the card's model has thrown so far. */
  get modelErrors(): readonly unknown[] {
    return this.fitted.modelErrors;
  }

  /** @internal Who accesses it, with an observer. */
  get observed(): ObservedCard | undefined {
    return this.fitted.observed;
  }

  /** @internal For whoever can access the guest's bus. */
  get intxRelease(): IntxRelease {
    return this.fitted.intx;
  }

  /** Whether a client is connected. */
  get connected(): boolean {
    return this.seat?.server.connected ?? false;
  }

  /** Handles at once what the client has sent up to now: posted writes may still be in the socket. */
  catchUp(): void {
    this.seat?.server.catchUp();
    this.fitted.observed?.settle();
  }

  /** Whether the card's link is down: by `severLink`, or by a fault. */
  get isSevered(): boolean {
    return !this.fitted.link.isUp;
  }

  /** Takes the card's link down. The client is not notified: see `SlotLink`. */
  severLink(): void {
    if (this.isSevered) return;
    try {
      traceOf(this.card).linkDown(() => this.fitted.link.goDown());
    } catch (error) {
      this.fitted.threw(error); // the card threw in its reset
    }
  }

  /** @internal The client is about to remove the function, whose link is down. */
  leave(): void {
    this.fitted.link.leave();
  }

  /** Disconnects the client, removes the socket, stops device time and releases the card's memory. */
  async close(): Promise<void> {
    await this.seat?.server.close();
    this.end();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Another card takes the place of this one, which ends. */
  private yieldTo(next: Occupant): Seat {
    const seat = this.seat!;
    seat.replaceBy(next);
    this.seat = undefined;
    this.end();
    return seat;
  }

  private end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.clock.close();
    this.fitted.close();
    this.watch[Symbol.dispose]();
  }
}
