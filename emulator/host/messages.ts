/**
 * Enables message-signalled interrupts as a kernel does: in the capability, and for MSI-X in the table too.
 *
 * Source: PCI Local Bus Specification 3.0, sections 6.7 (capability list), 6.8.1 (MSI) and 6.8.2 (MSI-X).
 */
import { type RegionSpace } from './space';

const capabilityId = { msi: 0x05, msix: 0x11 } as const;
const CAPABILITIES_POINTER = 0x34;
const MESSAGE_CONTROL = 2;
const msi = { ENABLE: 1, MULTIPLE_MESSAGE_ENABLE_SHIFT: 4 };
const msix = { ENABLE: 1 << 15, TABLE: 4, BIR_MASK: 7, ENTRY_BYTES: 16, VECTOR_CONTROL: 12 };

/** Offset of a capability in configuration space. Throws when the function does not have it. */
export function findCapability(config: RegionSpace, id: number): number {
  for (let at = config.read8(CAPABILITIES_POINTER); at !== 0; at = config.read8(at + 1)) {
    if (config.read8(at) === id) return at;
  }
  throw new Error(`looking for capability 0x${id.toString(16)}: this function does not have it`);
}

/** @param vectors a power of two */
export function enableMsi(config: RegionSpace, vectors: number): void {
  const control = findCapability(config, capabilityId.msi) + MESSAGE_CONTROL;
  config.write16(control, msi.ENABLE | (Math.log2(vectors) << msi.MULTIPLE_MESSAGE_ENABLE_SHIFT));
}

export function enableMsix(config: RegionSpace, bar: (index: number) => RegionSpace, vectors: number): void {
  const capability = findCapability(config, capabilityId.msix);
  const table = config.read32(capability + msix.TABLE);
  const space = bar(table & msix.BIR_MASK);
  config.write16(capability + MESSAGE_CONTROL, msix.ENABLE);
  for (let vector = 0; vector < vectors; vector++) {
    const entry = (table & ~msix.BIR_MASK) + vector * msix.ENTRY_BYTES;
    space.write32(entry + msix.VECTOR_CONTROL, 0);
  }
}
