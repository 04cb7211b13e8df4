/**
 * The identity of a card on the PCI bus: the values a data sheet lists first. Checked when the card is constructed.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.1 (identification) and 6.8 (MSI, MSI-X); PCI Code and ID Assignment Spec (class).
 */
import { RESET_KINDS, type ResetKind } from '../registers';
import { type PlatformDevice } from './platform/declaration';
import { BAR_COUNT } from './vfio-layout';

/**
 * The error for a card whose definition is invalid, such as overlapping BARs or a vector count that PCI cannot encode.
 * Thrown while the card is constructed, so an author sees it before any guest does.
 */
export class CardDefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CardDefinitionError';
  }
}

/** What a card is on the PCI bus: the values that a data sheet lists first. */
export interface CardIdentity {
  /** 16 bits. Not 0xffff, an empty slot; nor 0x0001, which a root complex reads as "not ready yet"; nor 0. */
  readonly vendorId: number;
  /** 16 bits. */
  readonly deviceId: number;
  /** 24 bits: base class, sub-class, programming interface; 0x12_00_00 is a processing accelerator. */
  readonly classCode: number;
  /** 8 bits, default 0. */
  readonly revision?: number;
  /** 16 bits each; default: the vendor's and the device's own. */
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** The legacy interrupt pin; without it the card has no INTx. */
  readonly intx?: 'A' | 'B' | 'C' | 'D';
  /** Message-signalled interrupts: 1, 2, 4, 8, 16 or 32 vectors, with masks and pending bits. */
  readonly msi?: { readonly vectors: number };
  /** MSI-X: 1 to 2048 vectors; table and pending bits in a BAR of their own, or in one of the card's. */
  readonly msix?: MsixIdentity;
  /** Device Serial Number capability: an EUI-64. */
  readonly serialNumber?: bigint;
  /**
   * Where capabilities of the library lie, if a driver relies on it; by the names that traces use. Default: PM 0x40,
   * MSI 0x50, MSIX 0x70, PCIE 0x80, PLATFORM (the capability that leads to platform devices) 0xc0, SERIAL 0x100;
   * AER (Advanced Error Reporting) in the first gap that all other extended capabilities leave.
   */
  readonly capabilityOffsets?: Readonly<
    Partial<Record<'PM' | 'MSI' | 'MSIX' | 'PCIE' | 'PLATFORM' | 'SERIAL' | 'AER', number>>
  >;
  /** The first capabilities of the chain, by name; the others follow by ascending offset, as all do by default. */
  readonly capabilityOrder?: readonly string[];
  /**
   * False: the function has no Advanced Error Reporting capability of the library's; for a card without one, or with its
   * own. Default true.
   */
  readonly advancedErrorReporting?: boolean;
  /** False: the function has no function-level reset, and Linux resets the bus instead. Default true. */
  readonly functionLevelReset?: boolean;
  /** False: the return from D3hot to D0 resets the function (`d3hot`). Default true. */
  readonly noSoftReset?: boolean;
  /**
   * How long after a reset of a kind the function cannot be accessed, in nanoseconds: `{ flr: 300e6 }`. Reads are all ones
   * meanwhile and writes are lost. The time after power-on is over before a guest sees the card.
   */
  readonly readyAfterNs?: Readonly<Partial<Record<ResetKind, number>>>;
  /**
   * Speed and width of the trained link, as the driver reads them; default 8 GT/s (generation 3), 4 lanes. Generation 1:
   * 2.5 GT/s, 2: 5 GT/s, 3: 8 GT/s, 4: 16 GT/s, 5: 32 GT/s.
   */
  readonly link?: { readonly generation: 1 | 2 | 3 | 4 | 5; readonly lanes: 1 | 2 | 4 | 8 | 16 };
  /**
   * False: the card's DMA reads memory as it was when the driver last synchronised it (`PciCard.coherence`), and the
   * card's writes become visible when the driver synchronises. Default true. Not visible on the bus: drivers must know.
   */
  readonly coherent?: boolean;
  /** Memory limit of a non-coherent card's view, in bytes, a multiple of 4096; default 256 MiB. */
  readonly viewLimitBytes?: number;
  /**
   * Whether what the card has written to memory is there when its interrupt arrives. Default: true, as with any interrupt of
   * PCI Express. False for a memory-mapped device whose interrupt line does not go the way of its writes: a driver must read
   * a register of it then, or status in memory, before it looks at data. Only the check of DMA races uses it.
   */
  readonly interruptsPushWrites?: boolean;
  /** Memory-mapped devices on the card, for the guest's module `ghostcard`; `platformDevice` adds compile-time checks. */
  readonly platformDevices?: readonly PlatformDevice[];
  /** Where in a BAR of the card their table lies, a multiple of 8 bytes; default: in a BAR of the library's own. */
  readonly platformTable?: { readonly bar: number; readonly offset: number };
}

/** The MSI-X vectors of a card, and where their table is. */
export interface MsixIdentity {
  /** The BAR with the table: without `tableOffset`, one for table and pending bits alone. */
  readonly bar: number;
  readonly vectors: number;
  /**
   * Offset of the table in the BAR, a multiple of 8: the BAR is then one of the card's registers or memory, in which the
   * library answers the accesses to the table. Where the card has none, the BAR holds the table only.
   */
  readonly tableOffset?: number;
  /** The BAR with the pending bits, likewise; default `bar`. */
  readonly pbaBar?: number;
  /** Offset of the pending bits, a multiple of 8; default: the page after the table, or 0 in another BAR. */
  readonly pbaOffset?: number;
}

export type LibraryCapability = keyof NonNullable<CardIdentity['capabilityOffsets']>;
export type InterruptPin = NonNullable<CardIdentity['intx']>;
export type LinkIdentity = NonNullable<CardIdentity['link']>;

export const DEFAULT_LINK: LinkIdentity = { generation: 3, lanes: 4 };
export const MAX_MSI_VECTORS = 32;
export const MAX_MSIX_VECTORS = 2048;

/** Classes, as their upper 16 bits, of functions with another header or another place than an endpoint in a slot. */
const OTHER_FUNCTIONS: Readonly<Record<number, string>> = {
  0x0604: 'a PCI-to-PCI bridge, which has a type 1 header',
  0x0607: 'a CardBus bridge, which has a type 2 header',
  0x0609: 'a semi-transparent PCI-to-PCI bridge, which has a type 1 header',
  0x0807: 'a root complex event collector, which is part of a root complex',
};

const LINK_GENERATIONS: readonly number[] = [1, 2, 3, 4, 5] satisfies LinkIdentity['generation'][];
const LINK_LANES: readonly number[] = [1, 2, 4, 8, 16] satisfies LinkIdentity['lanes'][];

/** Throws CardDefinitionError when configuration space cannot represent a value of `identity`. */
export function checkIdentity(identity: CardIdentity): void {
  checkNumber('vendorId', identity.vendorId, 0x0002, 0xfffe);
  checkNumber('deviceId', identity.deviceId, 0, 0xffff);
  checkNumber('classCode', identity.classCode, 0, 0xff_ffff);
  checkClass(identity.classCode);
  checkNumber('revision', identity.revision ?? 0, 0, 0xff);
  checkNumber('subsystemVendorId', identity.subsystemVendorId ?? 0, 0, 0xffff);
  checkNumber('subsystemId', identity.subsystemId ?? 0, 0, 0xffff);
  const { generation, lanes } = identity.link ?? DEFAULT_LINK;
  checkChoice('link.generation', generation, LINK_GENERATIONS);
  checkChoice('link.lanes', lanes, LINK_LANES);
  if (identity.msi) {
    const { vectors } = identity.msi;
    checkNumber('msi.vectors', vectors, 1, MAX_MSI_VECTORS);
    if (!isPowerOfTwo(vectors)) {
      throw new CardDefinitionError(
        `msi.vectors is ${vectors}: MSI allows only 1, 2, 4, 8, 16 or 32 vectors; use the next power of two`,
      );
    }
  }
  if (identity.msix) {
    checkNumber('msix.vectors', identity.msix.vectors, 1, MAX_MSIX_VECTORS);
    checkNumber('msix.bar', identity.msix.bar, 0, BAR_COUNT - 1);
    checkNumber('msix.pbaBar', identity.msix.pbaBar ?? 0, 0, BAR_COUNT - 1);
    checkPlace('msix.tableOffset', identity.msix.tableOffset);
    checkPlace('msix.pbaOffset', identity.msix.pbaOffset);
  }
  checkNumber('platformTable.bar', identity.platformTable?.bar ?? 0, 0, BAR_COUNT - 1);
  checkPlace('platformTable.offset', identity.platformTable?.offset);
  for (const [kind, delayNs] of Object.entries(identity.readyAfterNs ?? {})) {
    if (!RESET_KINDS.some((known) => known === kind)) {
      throw new CardDefinitionError(`readyAfterNs has '${kind}': the kinds of resets are ${RESET_KINDS.join(', ')}`);
    }
    checkNumber(`readyAfterNs['${kind}']`, delayNs, 0, Number.MAX_SAFE_INTEGER);
  }
  const { viewLimitBytes = 4096 } = identity;
  if (!Number.isSafeInteger(viewLimitBytes) || viewLimitBytes < 4096 || viewLimitBytes % 4096 !== 0) {
    throw new CardDefinitionError(`viewLimitBytes is ${hex(viewLimitBytes)}: it must be a positive multiple of 4096`);
  }
  const serial = identity.serialNumber ?? 0n;
  if (serial < 0n || serial >= 1n << 64n) {
    throw new CardDefinitionError(`serialNumber is ${hex(serial)}: it must be an EUI-64, 0 to 0xffffffffffffffff`);
  }
}

export const isPowerOfTwo = (value: number): boolean =>
  Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));

function checkClass(classCode: number): void {
  const other = OTHER_FUNCTIONS[classCode >>> 8];
  if (other === undefined) return;
  throw new CardDefinitionError(
    `classCode is 0x${classCode.toString(16).padStart(6, '0')}, the class of ${other}: a card is an endpoint, with a ` +
      'type 0 header. Use the class of what the card does, such as 0x120000, a processing accelerator',
  );
}

function checkChoice(name: string, value: number, choices: readonly number[]): void {
  if (choices.includes(value)) return;
  throw new CardDefinitionError(`${name} is ${value}: it must be one of ${choices.join(', ')}`);
}

function checkNumber(name: string, value: number, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw new CardDefinitionError(
    `${name} is ${hex(value)}: it must be an integer from ${hex(lowest)} to ${hex(highest)}`,
  );
}

/** The low three bits of the register hold the BAR. */
function checkPlace(name: string, offset = 0): void {
  checkNumber(name, offset, 0, 0xffff_fff8);
  if (offset % 8 !== 0) throw new CardDefinitionError(`${name} is ${hex(offset)}: it must be a multiple of 8`);
}

const hex = (value: number | bigint): string =>
  typeof value === 'bigint' || (Number.isInteger(value) && Math.abs(value) > 2048)
    ? `0x${value.toString(16)}`
    : String(value);
