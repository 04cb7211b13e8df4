/**
 * A card as a trace describes it: enough to read the trace without the card's source. Plain data, as it lies in the file.
 */
import { type DmaChannelDescription, type PciCard, Region } from '../../emulator/pci';
import { type RegisterLayout } from '../../emulator/registers';

/** A card as a trace describes it. */
export interface CardDescription {
  /** What the card is called in the run. */
  readonly name: string;
  /** The name of its class. */
  readonly model: string;
  readonly vendorId: number;
  readonly deviceId: number;
  /** By VFIO region: BARs 0 to 5, configuration space 7. */
  readonly regions: readonly { readonly sizeBytes: number }[];
  /** Windows that the guest maps and reaches without us. `isSeen`: unmapped for this recording, so that nothing is missed. */
  readonly windows: readonly {
    readonly region: number;
    readonly offset: number;
    readonly sizeBytes: number;
    readonly isSeen: boolean;
  }[];
  /** Vectors by interrupt index: INTx 0, MSI 1, MSI-X 2. */
  readonly vectors: readonly number[];
  /** Where registers lie: in BARs, and the structures of configuration space at their offsets. */
  readonly registers: readonly RegisterSpace[];
  /** Memory of the card in its BARs, and tables there that are only read: what is no register. */
  readonly memory: readonly { readonly region: number; readonly offset: number; readonly sizeBytes: number }[];
  /** The DMA channels that the card declares: their doorbells, the layouts of what they keep in host memory. */
  readonly channels?: readonly DmaChannelDescription[];
  /** The faults that were declared for the card, as they were declared. */
  readonly faults: readonly unknown[];
}

/** Registers at an offset of a region. */
export interface RegisterSpace {
  /** What PCI calls it: 'MSIX'; '' for the registers of the card's author, and for the header of configuration space. */
  readonly name: string;
  readonly region: number;
  readonly offset: number;
  readonly registers: readonly RegisterLayout[];
}

export interface DescribeCardOptions {
  readonly name: string;
  /** Mapped windows are not shown to the client, so that every access of them comes by. */
  readonly isMmapDisabled: boolean;
  readonly faults?: readonly unknown[];
}

export function describeCard(card: PciCard, options: DescribeCardOptions): CardDescription {
  const { layout } = card;
  const id = new Uint8Array(4);
  card.readRegion(Region.CONFIG, 0, id);
  return {
    name: options.name,
    model: card.constructor.name,
    vendorId: id[0]! | (id[1]! << 8),
    deviceId: id[2]! | (id[3]! << 8),
    regions: layout.regions.map(({ sizeBytes }) => ({ sizeBytes })),
    windows: layout.regions.flatMap(({ mappable }, region) =>
      (mappable?.areas ?? []).map((area) => ({ region, ...area, isSeen: options.isMmapDisabled })),
    ),
    vectors: layout.irqs.map(({ count }) => count),
    registers: registerSpacesOf(card),
    memory: card.inspection.contents().memory.map(({ bar, ...range }) => ({ region: bar, ...range })),
    channels: card.inspection.channels(),
    faults: options.faults ?? [],
  };
}

/** Where the registers of a card lie. */
export function registerSpacesOf(card: PciCard): RegisterSpace[] {
  const { inspection } = card;
  const { msix } = inspection.contents();
  return [
    ...[...inspection.registerFiles].map(([region, { map }]) => ({
      name: '',
      region,
      offset: 0,
      registers: map.registers,
    })),
    ...msix.map(({ bar, offset, map }) => ({ name: 'MSIX', region: bar, offset, registers: map.registers })),
    ...inspection.configStructures.map(({ name, offset, registers }) => ({
      name,
      region: Region.CONFIG,
      offset,
      registers: registers.map.registers,
    })),
  ];
}
