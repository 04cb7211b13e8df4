/**
 * Narrow where the interface is wide, as real cards are: an engine with 32 address lines behind registers of 64 bits, a
 * length counter of 14 bits behind a field of 32. What does not fit is dropped, and nothing says so.
 */
import { type DmaPort } from '../memory';
import { type TransferOrder } from './transfer';

/** The low `bits` of a value, also beyond 32 bits. */
export const lowBits = (value: number, bits: number): number => value % 2 ** bits;

/** A port whose addresses lose everything above `bits`; with 64, the port itself. */
export function narrowPort(port: DmaPort, bits = 64): DmaPort {
  if (bits >= 64) return port;
  return {
    read: (iova, into) => port.read(lowBits(iova, bits), into),
    write: (iova, from) => port.write(lowBits(iova, bits), from),
    write32: (iova, value) => port.write32(lowBits(iova, bits), value),
    write64: (iova, value) => port.write64(lowBits(iova, bits), value),
  };
}

/** What an engine with a length counter of `bits` understands of an order; without `bits`, the order itself. */
export function narrowOrder(order: TransferOrder, bits: number | undefined): TransferOrder {
  if (bits === undefined) return order;
  const { hostAddress, cardAddress, lengthBytes, endOfPacket } = order;
  return { hostAddress, cardAddress, lengthBytes: lowBits(lengthBytes, bits), endOfPacket };
}
