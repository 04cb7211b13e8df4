/**
 * Sizes the BARs and assigns an address to each, as firmware does.
 *
 * Source: PCI Local Bus Specification 3.0, section 6.2.5.1.
 */
import { type RegionSpace } from './space';

export const BAR_SLOTS = 6;
const BAR0 = 0x10;
const ALL_ONES = 0xffff_ffff;
/** Low bits of a BAR: type, not address. */
const KIND_MASK = 0xf;
const IO_KIND_MASK = 0x3;
const isIo = (low: number): boolean => (low & 1) === 1;
const is64Bit = (low: number): boolean => (low & 0x7) === 0x4;
/** Where BARs go: the usual PCI hole, a window above 4 GiB, and ports. */
const firstAddress = { low: 0xe000_0000n, high: 0x40_0000_0000n, io: 0x1000n };

/** Returns whether one of them is in I/O space. */
export function placeBars(config: RegionSpace): { hasIo: boolean } {
  const next = { ...firstAddress };
  for (let slot = 0; slot < BAR_SLOTS; slot++) {
    const offset = BAR0 + 4 * slot;
    const low = probe(config, offset);
    if (low === 0) continue;
    const wide = is64Bit(low);
    const high = wide ? probe(config, offset + 4) : ALL_ONES;
    const sizeBytes = sizeOf(low, high);
    const window = isIo(low) ? 'io' : wide ? 'high' : 'low';
    const address = (next[window] + sizeBytes - 1n) & -sizeBytes;
    next[window] = address + sizeBytes;
    config.write32(offset, Number(address & 0xffff_ffffn));
    if (wide) config.write32(BAR0 + 4 * ++slot, Number(address >> 32n));
  }
  return { hasIo: next.io !== firstAddress.io };
}

/** What the register reads after a write of all ones. */
function probe(config: RegionSpace, offset: number): number {
  config.write32(offset, ALL_ONES);
  return config.read32(offset);
}

/** Only the address bits above the size are writable, so the bits that read 1 are the size's two's complement. */
function sizeOf(low: number, high: number): bigint {
  const writable = (BigInt(high) << 32n) | BigInt((low & ~(isIo(low) ? IO_KIND_MASK : KIND_MASK)) >>> 0);
  return BigInt.asUintN(64, -writable);
}
