/**
 * Capabilities that a card's author declares: the registers are the author's, ID and pointer to the next one are ours.
 *
 * Source: PCI Local Bus Spec 3.0, 6.7 and appendix H (vendor-specific capability); PCI Express Base Spec 5.0, 7.6.3
 * (header of an extended capability), 7.9.5 (VSEC) and 7.9.6 (DVSEC).
 */
import { type MapSpec, type RegisterMap, registerMap } from '../../registers';
import { CardDefinitionError } from '../identity';

/** A capability of the author's. Offsets of its registers count from its start, as in a data sheet. */
export interface CustomCapability<S extends MapSpec = MapSpec> {
  /** What traces call it: `config:NAME.REGISTER`. */
  readonly name: string;
  /** 8 bits; 0x09 is vendor-specific. Of an extended capability 16 bits: 0x0b is vendor-specific (VSEC), 0x23 DVSEC. */
  readonly id: number;
  /** Its registers, from offset 2 on (extended: 4). */
  readonly map: RegisterMap<S>;
  /** Where it lies in configuration space, a multiple of 4; default: in the first gap. */
  readonly offset?: number;
}

export interface CustomExtendedCapability<S extends MapSpec = MapSpec> extends CustomCapability<S> {
  /** 4 bits; default 1. */
  readonly version?: number;
}

const VENDOR_SPECIFIC_ID = 0x09;

/** The author's registers behind ID and NEXT; a vendor-specific capability also tells its length. */
export function customCapability({ name, id, map }: CustomCapability): RegisterMap {
  checkId(name, id, 0xff);
  checkStart(name, map, 2);
  const LENGTH = { offset: 2, width: 8, access: 'ro', reset: bytesOf(map) } as const;
  const isTold = map.registers.some(({ offset, width }) => offset <= 2 && offset + width / 8 > 2);
  return registerMap({
    ID: { offset: 0, width: 8, access: 'ro', reset: id },
    NEXT: { offset: 1, width: 8, access: 'ro' },
    ...(id === VENDOR_SPECIFIC_ID && !isTold && { LENGTH }),
    ...map.spec,
  });
}

export function customExtendedCapability({ name, id, version = 1, map }: CustomExtendedCapability): RegisterMap {
  checkId(name, id, 0xffff);
  checkStart(name, map, 4);
  if (!Number.isInteger(version) || version < 0 || version > 15) {
    throw new CardDefinitionError(`capability ${name}: version is ${version}: it must be an integer from 0 to 15`);
  }
  return registerMap({ HEADER: extendedHeader(id, version), ...map.spec });
}

/** The first word of an extended capability; where the next one is, configuration space fills in. */
export const extendedHeader = (id: number, version: number) =>
  ({
    offset: 0x0,
    access: 'ro',
    fields: {
      ID: { bits: [15, 0], reset: id },
      VERSION: { bits: [19, 16], reset: version },
      NEXT: [31, 20],
    },
  }) as const;

/** The registers with which a vendor-specific extended capability (id 0x0b) continues, to spread into its map. */
export const vsecRegisters = (vsec: { readonly id: number; readonly revision: number; readonly lengthBytes: number }) =>
  ({
    VSEC: {
      offset: 0x4,
      access: 'ro',
      doc: '7.9.5.2',
      fields: {
        VSEC_ID: { bits: [15, 0], reset: vsec.id },
        REVISION: { bits: [19, 16], reset: vsec.revision },
        LENGTH: { bits: [31, 20], reset: vsec.lengthBytes, doc: 'From the start of the capability.' },
      },
    },
  }) as const;

/** The registers with which a designated vendor-specific extended capability (id 0x23) continues. */
export const dvsecRegisters = (dvsec: {
  readonly vendorId: number;
  readonly id: number;
  readonly revision: number;
  readonly lengthBytes: number;
}) =>
  ({
    DVSEC_VENDOR: {
      offset: 0x4,
      access: 'ro',
      doc: '7.9.6.2',
      fields: {
        VENDOR_ID: { bits: [15, 0], reset: dvsec.vendorId },
        REVISION: { bits: [19, 16], reset: dvsec.revision },
        LENGTH: { bits: [31, 20], reset: dvsec.lengthBytes, doc: 'From the start of the capability.' },
      },
    },
    DVSEC_ID: { offset: 0x8, width: 16, access: 'ro', reset: dvsec.id, doc: '7.9.6.3' },
  }) as const;

function bytesOf({ registers }: RegisterMap): number {
  const last = registers.at(-1);
  return last ? Math.ceil((last.offset + last.width / 8) / 4) * 4 : 4;
}

function checkId(name: string, id: number, highest: number): void {
  if (Number.isInteger(id) && id > 0 && id <= highest) return;
  throw new CardDefinitionError(
    `capability ${name}: id is ${id}: it must be an integer from 1 to 0x${highest.toString(16)}`,
  );
}

function checkStart(name: string, { registers }: RegisterMap, start: number): void {
  const first = registers[0];
  if (first === undefined || first.offset >= start) return;
  throw new CardDefinitionError(
    `capability ${name}: ${first.path} is at offset ${first.offset}, but the first ${start} bytes hold the capability's id ` +
      `and the place of the next one: registers begin at ${start}`,
  );
}
