/**
 * Configuration space as the bus sees it: 4096 bytes that contain the header and the capability structures, each a
 * register file at its offset. An access of any size is split between them; the gaps read 0.
 *
 * Source: PCI Express Base Spec 5.0, 7.2 (layout), 7.5 and 7.6 (capability chains).
 */
import { type RegisterMap } from '../registers';
import { CONFIG_SIZE_BYTES } from './vfio-layout';

/** A structure in configuration space. */
export interface ConfigStructure {
  /** Its name in traces; '' for the header. */
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly registers: {
    /** Names its registers. */
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

  /** The structures that an access touches, with the part of the access (configuration offsets) in each. */
  *#touched(offset: number, length: number) {
    for (const { offset: base, sizeBytes, registers } of this.structures) {
      const from = Math.max(offset, base);
      const to = Math.min(offset + length, base + sizeBytes);
      if (from < to) yield { base, from, to, registers };
    }
  }
}

/** Offsets of the capabilities, in the order of the chain; MSI, MSI-X and the platform table are optional. */
export const CAPABILITY_OFFSETS = {
  powerManagement: 0x40,
  msi: 0x50,
  msix: 0x70,
  pciExpress: 0x80,
  platformTable: 0xc0,
} as const;

/** Extended configuration space begins here, with its first capability or with 0 for none. */
export const EXTENDED_OFFSET = 0x100;

/** Returns the next pointer of each capability present; 0 for the last. */
export function chain(present: readonly number[]): (offset: number) => number {
  return (offset) => present[present.indexOf(offset) + 1] ?? 0;
}
