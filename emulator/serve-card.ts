/** Puts the parts together that serve a card to a vfio-user client: wall clock, memory that can be mapped, socket. */
import { WallClock } from './clock';
import { type CardEnvironment, type PciCard, sharedMemory } from './pci';
import { serve, type ServerEvent, type VfioUserServer } from './vfio-user';

/** Makes a card in the environment that it is to live in. */
export type CardFactory<Card extends PciCard = PciCard> = (environment: Required<CardEnvironment>) => Card;

export interface ServeCardOptions {
  readonly socketPath: string;
  readonly onEvent?: (event: ServerEvent) => void;
}

export class ServedCard<Card extends PciCard = PciCard> implements AsyncDisposable {
  private constructor(
    readonly card: Card,
    readonly socketPath: string,
    private readonly server: VfioUserServer,
    private readonly clock: WallClock,
  ) {}

  /** Rejects when the card cannot be made or the path cannot be listened at; nothing is left then. */
  static async start<Card extends PciCard>(make: CardFactory<Card>, options: ServeCardOptions): Promise<ServedCard<Card>> {
    const clock = new WallClock();
    const card = make({ clock, allocate: sharedMemory() });
    try {
      const server = await serve(card, { ...options, clock });
      return new ServedCard(card, options.socketPath, server, clock);
    } catch (error) {
      clock.close();
      card.close();
      throw error;
    }
  }

  /** Whether a client is connected. */
  get connected(): boolean {
    return this.server.connected;
  }

  /** Disconnects the client, removes the socket, stops device time and releases the card's memory. */
  async close(): Promise<void> {
    await this.server.close();
    this.clock.close();
    this.card.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

