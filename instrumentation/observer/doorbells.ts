/** The register writes of a card's driver: the last one, and those that have rung for a channel. */
import { type AccessEvent, BAR_COUNT, type CardEvent, type PciCard } from '../../emulator/pci';
import { type DeclaredChannels, doorbellValue, RegisterNames, valueOf, wordAccess } from '../trace';
import { type DriverAccess } from './shared-file';

/** A register write that has arrived. */
export interface Doorbell {
  /** Known a moment later; undefined then if nobody knows. */
  by: DriverAccess | undefined;
  /** Its name: `H2C[0].DOORBELL`. */
  readonly register: () => string;
  /** In words: `0x00000004`. */
  readonly value: string;
}

type Declared = DeclaredChannels['doorbells'][number];

export class Doorbells {
  /** The last write. */
  last: Doorbell | undefined;
  /** By channel. */
  readonly #rung = new Map<string, Doorbell>();
  readonly #values = new Map<Declared, bigint>();
  #names: RegisterNames | undefined;

  constructor(private readonly card: PciCard) {}

  /** Returns the write of a register that the event is. */
  take(event: CardEvent): Doorbell | undefined {
    if (event.kind === 'reset') this.#rung.clear();
    if (event.kind !== 'write' || event.region >= BAR_COUNT) return undefined;
    const { region, offset, data } = event;
    const { length } = data;
    const value = valueOf(data);
    const names = (this.#names ??= RegisterNames.of(this.card));
    const register = (): string => wordAccess(names, region, offset, length, value).place;
    this.last = { by: undefined, register, value: `0x${value.toString(16).padStart(2 * length, '0')}` };
    this.#ring(names.channels, event, this.last);
    return this.last;
  }

  /** What a channel has been started by: its own doorbell where the card declares that, or else the last write. */
  of(channel: string): Doorbell | undefined {
    const isDeclared = this.#names?.channels.doorbells.some((each) => each.channel === channel);
    return isDeclared ? this.#rung.get(channel) : this.last;
  }

  #ring(channels: DeclaredChannels, { region, offset, data }: AccessEvent, write: Doorbell): void {
    const declared = channels.rungBy(region, offset, data, (each) =>
      each.rings === 'changed' ? this.#values.get(each) : undefined,
    );
    if (declared === undefined) return;
    if (declared.rings === 'changed') this.#values.set(declared, doorbellValue(declared, offset, data));
    this.#rung.set(declared.channel, write);
  }
}
