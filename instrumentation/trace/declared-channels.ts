/** What a card declares of its DMA channels, looked up by what passes by: which doorbell a write rings, which layout. */
import { type DmaChannelDescription, type DmaLayout, type DoorbellDescription } from '../../emulator/pci';

/** A doorbell of a channel. */
export interface Doorbell extends DoorbellDescription {
  readonly channel: string;
}

export class DeclaredChannels {
  readonly doorbells: readonly Doorbell[];
  readonly #layouts = new Map<string, ReadonlyMap<string, DmaLayout>>();

  constructor(channels: readonly DmaChannelDescription[] = []) {
    this.doorbells = channels.flatMap(({ name, doorbells }) =>
      doorbells.map((doorbell) => ({ ...doorbell, channel: name })),
    );
    for (const { name, layouts } of channels) {
      this.#layouts.set(name, new Map(layouts.map((layout) => [layout.role, layout])));
    }
  }

  /** How what the channel reads and writes in this role is laid out, if the card says so. */
  layoutOf(channel: string, role: string): DmaLayout | undefined {
    return this.#layouts.get(channel)?.get(role);
  }

  /**
   * The doorbell that a write rings. `before`: the value of the doorbell until then; undefined where that is not known,
   * and the write then counts as a change.
   */
  rungBy(
    region: number,
    offset: number,
    data: Uint8Array,
    before: (doorbell: Doorbell) => bigint | undefined,
  ): Doorbell | undefined {
    for (const doorbell of this.doorbells) {
      const [from, to] = [doorbell.offset + (doorbell.lsb >> 3), doorbell.offset + (doorbell.msb >> 3)];
      if (region !== doorbell.region || offset > to || offset + data.length <= from) continue;
      const { rings } = doorbell;
      if (rings === 'written') return doorbell;
      const value = offset <= from && offset + data.length > to ? doorbellValue(doorbell, offset, data) : undefined;
      if (rings !== 'changed' && value !== BigInt(rings)) continue;
      if (value === undefined || value !== before(doorbell)) return doorbell;
    }
    return undefined;
  }
}

/** The value of the doorbell in a write; what the write does not cover is 0. */
export function doorbellValue(
  { offset: start, msb, lsb }: DoorbellDescription,
  offset: number,
  data: Uint8Array,
): bigint {
  let value = 0n;
  for (let at = start + (msb >> 3); at >= start + (lsb >> 3); at--)
    value = (value << 8n) | BigInt(data[at - offset] ?? 0);
  return (value >> BigInt(lsb & 7)) & ((1n << BigInt(msb - lsb + 1)) - 1n);
}
