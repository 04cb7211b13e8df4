/** The descriptor of layout.ts as the engine and drivers in this process handle it, and the words that the card writes. */
import { fieldOf, offsetOf } from '../../registers';
import { structureCodec } from '../../dma';
import { DESCRIPTOR, ERROR_CODES, type ErrorCode } from './layout';

/** What the engine calls the fields. */
export const DESCRIPTOR_FIELDS = {
  owner: 'CONTROL.OWNER',
  interrupt: 'CONTROL.INTERRUPT',
  endOfPacket: 'CONTROL.EOP',
  /** CONTROL as it was fetched. */
  control: 'CONTROL',
  lengthBytes: 'LENGTH',
  /** Exact below 2^53; an address above is larger than any mapping and fails as such. */
  hostAddress: 'HOST_ADDRESS',
  cardAddress: 'CARD_ADDRESS',
} as const;

export const DESCRIPTOR_CODEC = structureCodec(DESCRIPTOR, DESCRIPTOR_FIELDS);

/** A descriptor as a driver writes it. */
export interface Descriptor {
  readonly owner: boolean;
  readonly interrupt: boolean;
  readonly endOfPacket: boolean;
  readonly lengthBytes: number;
  readonly hostAddress: number;
  readonly cardAddress: number;
}

/** Its bytes: for tests and models of hosts. */
export const encodeDescriptor = (descriptor: Descriptor): Uint8Array => DESCRIPTOR_CODEC.encode({ ...descriptor });

/** Where the card writes inside a descriptor, in bytes from its start. */
export const descriptorOffsets = {
  control: offsetOf(DESCRIPTOR, 'CONTROL'),
  transferred: offsetOf(DESCRIPTOR, 'TRANSFERRED'),
  status: offsetOf(DESCRIPTOR, 'STATUS'),
};

const KEPT = fieldOf(DESCRIPTOR, 'CONTROL.INTERRUPT').mask | fieldOf(DESCRIPTOR, 'CONTROL.EOP').mask;
const DONE = fieldOf(DESCRIPTOR, 'STATUS.DONE').mask;
const ENDED_PACKET = fieldOf(DESCRIPTOR, 'STATUS.EOP').mask;
const errorCodeShift = fieldOf(DESCRIPTOR, 'STATUS.ERROR_CODE').shift;

/** The CONTROL word by which the descriptor is the driver's again. */
export const handedBack = (control: number): number => control & KEPT;

/** The STATUS word that completes a descriptor. */
export const completionStatus = (endOfPacket: boolean): number => (endOfPacket ? DONE | ENDED_PACKET : DONE);

/** The STATUS word of a descriptor on which the engine halted. */
export const errorStatus = (code: ErrorCode): number => ERROR_CODES[code] << errorCodeShift;
