/** Descriptor codec: 32 bytes of host memory to and from named fields. Layout and field meanings are in layout.ts. */
import { fieldOf, offsetOf } from '../registers';
import { DESCRIPTOR, DESCRIPTOR_BYTES, ERROR_CODES, type ErrorCode } from './layout';

export interface Descriptor {
  owner: boolean;
  interrupt: boolean;
  endOfPacket: boolean;
  lengthBytes: number;
  /** Exact below 2^53; an address above is larger than any mapping and fails as such. */
  hostAddress: number;
  cardAddress: number;
}

const at = {
  control: offsetOf(DESCRIPTOR, 'CONTROL'),
  length: offsetOf(DESCRIPTOR, 'LENGTH'),
  hostAddress: offsetOf(DESCRIPTOR, 'HOST_ADDRESS'),
  cardAddress: offsetOf(DESCRIPTOR, 'CARD_ADDRESS'),
  transferred: offsetOf(DESCRIPTOR, 'TRANSFERRED'),
  status: offsetOf(DESCRIPTOR, 'STATUS'),
};
const bit = {
  owner: Number(fieldOf(DESCRIPTOR, 'CONTROL.OWNER').mask),
  interrupt: Number(fieldOf(DESCRIPTOR, 'CONTROL.INTERRUPT').mask),
  endOfPacket: Number(fieldOf(DESCRIPTOR, 'CONTROL.EOP').mask),
  done: Number(fieldOf(DESCRIPTOR, 'STATUS.DONE').mask),
  statusEndOfPacket: Number(fieldOf(DESCRIPTOR, 'STATUS.EOP').mask),
};
const errorCodeShift = fieldOf(DESCRIPTOR, 'STATUS.ERROR_CODE').shift;

/** Where the card writes inside a descriptor, in bytes from its start. */
export const descriptorOffsets = at;

/** Reads the descriptor at `offset` of `view` into `into` (one object is reused: engines decode a descriptor per transfer). */
export function decodeDescriptor(view: DataView, offset: number, into: Descriptor): void {
  const control = view.getUint32(offset + at.control, true);
  into.owner = (control & bit.owner) !== 0;
  into.interrupt = (control & bit.interrupt) !== 0;
  into.endOfPacket = (control & bit.endOfPacket) !== 0;
  into.lengthBytes = view.getUint32(offset + at.length, true);
  into.hostAddress = readAddress(view, offset + at.hostAddress);
  into.cardAddress = readAddress(view, offset + at.cardAddress);
}

/** The bytes of a descriptor as a driver writes it: for tests and for host models. */
export function encodeDescriptor(descriptor: Descriptor): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(at.control, encodeControl(descriptor), true);
  view.setUint32(at.length, descriptor.lengthBytes, true);
  view.setBigUint64(at.hostAddress, BigInt(descriptor.hostAddress), true);
  view.setBigUint64(at.cardAddress, BigInt(descriptor.cardAddress), true);
  return bytes;
}

/** The CONTROL word of a descriptor. */
export function encodeControl(control: Pick<Descriptor, 'owner' | 'interrupt' | 'endOfPacket'>): number {
  return (
    (control.owner ? bit.owner : 0) |
    (control.interrupt ? bit.interrupt : 0) |
    (control.endOfPacket ? bit.endOfPacket : 0)
  );
}

/** The STATUS word that completes a descriptor. */
export const completionStatus = (endOfPacket: boolean): number => bit.done | (endOfPacket ? bit.statusEndOfPacket : 0);

/** The STATUS word of a descriptor on which the engine halted. */
export const errorStatus = (code: ErrorCode): number => ERROR_CODES[code] << errorCodeShift;

const readAddress = (view: DataView, offset: number): number =>
  view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
