/**
 * Configuration space as the bus sees it: 4096 bytes in which the header and the capability structures lie, each a
 * register file at its offset. An access of any size is split between them; what lies between reads 0.
 *
 * Source: PCI Express Base Spec 5.0, 7.2 (layout), 7.5 and 7.6 (capability chains).
 */
import { type RegisterMap } from '../registers';
import { CONFIG_SIZE_BYTES } from './vfio-layout';

/** A structure in configuration space. */
export interface ConfigStructure {
  /** What it is called in traces; '' for the header. */
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly registers: {
    /** What its registers are called. */
    readonly map?: RegisterMap;
    read(offset: number, data: Uint8Array): void;
    write(offset: number, data: Uint8Array): void;
  };
}

export class ConfigSpace {
  readonly sizeBytes = CONFIG_SIZE_BYTES;

  constructor(readonly structures: readonly ConfigStructure[]) {}

  read(offset: number, data: Uint8Array): void {
    data.fill(0);
    for (const { registers, ...part } of this.#touched(offset, data.length)) {
      registers.read(part.from - part.base, data.subarray(part.from - offset, part.to - offset));
    }
  }

  write(offset: number, data: Uint8Array): void {
    for (const { registers, ...part } of this.#touched(offset, data.length)) {
      registers.write(part.from - part.base, data.subarray(part.from - offset, part.to - offset));
    }
  }

  /** The structures that an access touches, with the part of it (configuration offsets) that falls to each. */
  *#touched(offset: number, length: number) {
    for (const { offset: base, sizeBytes, registers } of this.structures) {
      const from = Math.max(offset, base);
      const to = Math.min(offset + length, base + sizeBytes);
      if (from < to) yield { base, from, to, registers };
    }
  }
}

/** Where the capabilities lie, in the order of the chain; the last one and those of MSI only where the card has them. */
export const CAPABILITY_OFFSETS = {
  powerManagement: 0x40,
  msi: 0x50,
  msix: 0x70,
  pciExpress: 0x80,
  platformTable: 0xc0,
} as const;

/** Extended configuration space begins here, with its first capability or with 0 for none. */
export const EXTENDED_OFFSET = 0x100;

/** The pointer to the next capability for each one present; the last points to 0. */
export function chain(present: readonly number[]): (offset: number) => number {
  return (offset) => present[present.indexOf(offset) + 1] ?? 0;
}
