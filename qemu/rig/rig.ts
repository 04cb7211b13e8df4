/**
 * A rig: one guest with cards plugged in. What a hardware-in-the-loop rig is to a board, without the board.
 *
 * Serves every card on a socket in the run folder, boots a guest with them, and takes all of it down again.
 */
import { type CardFactory, ServedCard } from '../../emulator/serve-card';
import { type PciCard } from '../../emulator/pci';
import { describeEvent } from '../../emulator/vfio-user';
import { type BoundCard, type Guest, launchGuest, type LaunchOptions, RunFolder } from '../launch';

export interface RigCard {
  /** What the card is called in `bind` and in messages; unique in the rig. */
  readonly name: string;
  readonly make: CardFactory;
}

export interface CardFault {
  readonly card: string;
  readonly error: unknown;
}

export interface RigOptions extends Omit<LaunchOptions, 'cards' | 'runDir'> {
  readonly cards: readonly RigCard[];
  /** Gets what happens at the cards' sockets: refusals and faults. Default: faults go to standard error. */
  readonly onCardEvent?: (card: string, message: string) => void;
}

export class Rig implements AsyncDisposable {
  private constructor(
    readonly guest: Guest,
    private readonly served: ReadonlyMap<string, ServedCard>,
    private readonly folder: RunFolder,
  ) {}

  /** Serves the cards and boots the guest. Rejects, with nothing left behind, when any of it fails. */
  static async start({ cards, onCardEvent, ...launch }: RigOptions): Promise<Rig> {
    const folder = await RunFolder.create();
    const served = new Map<string, ServedCard>();
    try {
      for (const { name, make } of cards) {
        if (served.has(name)) throw new Error(`two cards are called '${name}': give each a name of its own`);
        const socketPath = folder.socketPath(`${name}.sock`);
        const report = onCardEvent && {
          onEvent: (event: Parameters<typeof describeEvent>[0]) => onCardEvent(name, describeEvent(event)),
        };
        served.set(name, await ServedCard.start(make, { socketPath, ...report }));
      }
      const sockets = [...served].map(([name, { socketPath }]) => ({ name, socketPath }));
      const guest = await launchGuest({ ...launch, cards: sockets, runDir: folder.path });
      return new Rig(guest, served, folder);
    } catch (error) {
      await closeAll(served, folder);
      throw error;
    }
  }

  /** The card of this name, to look at its registers and memory from this side. */
  card<Card extends PciCard = PciCard>(name: string): Card {
    const card = this.served.get(name);
    if (card === undefined)
      throw new Error(`this rig has no card '${name}'; its cards: ${[...this.served.keys()].join(', ')}`);
    return card.card as Card;
  }

  /** What the models of the cards have thrown so far, card by card: a run with faults has not tested the driver. */
  get faults(): readonly CardFault[] {
    return [...this.served].flatMap(([card, { faults }]) => faults.map((error) => ({ card, error })));
  }

  /** Gives a card to a driver of the guest: 'uio_pci_generic', 'vfio-pci' or any other; 'none' takes it away. */
  bind(card: string, driver: string): Promise<BoundCard> {
    return this.guest.bind(card, driver);
  }

  /** Ends the guest, then the cards, and removes the run folder. Can be called again. */
  async close(): Promise<void> {
    try {
      await this.guest.close();
    } finally {
      await closeAll(this.served, this.folder);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function closeAll(served: ReadonlyMap<string, ServedCard>, folder: RunFolder): Promise<void> {
  for (const card of served.values()) await card.close();
  await folder.close();
}
