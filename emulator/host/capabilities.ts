/**
 * A kernel's use of a function's capabilities: enables message-signalled interrupts (for MSI-X also in the table), and
 * resets the function.
 *
 * Source: PCI Local Bus Specification 3.0, sections 6.7 (capability list), 6.8.1 (MSI) and 6.8.2 (MSI-X); PCI Express Base
 * Specification 5.0, section 7.5.3.4 (Device Control).
 */
import { type InterruptKind } from './interrupts';
import { type RegionSpace } from './space';

const capabilityId = { msi: 0x05, pciExpress: 0x10, msix: 0x11 } as const;
const messageKinds = ['msi', 'msix'] as const;
const deviceControl = { OFFSET: 8, INITIATE_FLR: 1 << 15 };
const CAPABILITIES_POINTER = 0x34;
const MESSAGE_CONTROL = 2;
const msi = { ENABLE: 1, MULTIPLE_MESSAGE_ENABLE_SHIFT: 4 };
const msix = { ENABLE: 1 << 15, TABLE: 4, BIR_MASK: 7, ENTRY_BYTES: 16, VECTOR_CONTROL: 12 };

/** Offset of a capability in configuration space; undefined when the function does not have it. */
function findCapability(config: RegionSpace, id: number): number | undefined {
  for (let at = config.read8(CAPABILITIES_POINTER); at !== 0; at = config.read8(at + 1)) {
    if (config.read8(at) === id) return at;
  }
  return undefined;
}

function requireCapability(config: RegionSpace, kind: keyof typeof capabilityId): number {
  const found = findCapability(config, capabilityId[kind]);
  if (found === undefined) throw new Error(`looking for the ${kind} capability: the function does not have it`);
  return found;
}

/**
 * Selects `kind` as the function's interrupt mechanism: disables MSI and MSI-X, then enables `kind`. INTx needs no
 * enable.
 */
export function selectInterrupts(
  config: RegionSpace,
  bar: (index: number) => RegionSpace,
  kind: InterruptKind,
  vectors: number,
): void {
  for (const message of messageKinds) {
    const capability = findCapability(config, capabilityId[message]);
    if (capability !== undefined) config.write16(capability + MESSAGE_CONTROL, 0);
  }
  if (kind === 'msi') enableMsi(config, vectors);
  if (kind === 'msix') enableMsix(config, bar, vectors);
}

function enableMsi(config: RegionSpace, vectors: number): void {
  const granted = Math.log2(vectors);
  if (!Number.isInteger(granted)) {
    throw new RangeError(`enabling ${vectors} MSI vectors: MSI allows only 1, 2, 4, 8, 16 or 32`);
  }
  const control = requireCapability(config, 'msi') + MESSAGE_CONTROL;
  config.write16(control, msi.ENABLE | (granted << msi.MULTIPLE_MESSAGE_ENABLE_SHIFT));
}

function enableMsix(config: RegionSpace, bar: (index: number) => RegionSpace, vectors: number): void {
  const capability = requireCapability(config, 'msix');
  const table = config.read32(capability + msix.TABLE);
  const space = bar(table & msix.BIR_MASK);
  config.write16(capability + MESSAGE_CONTROL, msix.ENABLE);
  for (let vector = 0; vector < vectors; vector++) {
    const entry = (table & ~msix.BIR_MASK) + vector * msix.ENTRY_BYTES;
    space.write32(entry + msix.VECTOR_CONTROL, 0);
  }
}

/** Writes Initiate Function Level Reset in Device Control. */
export function initiateFunctionLevelReset(config: RegionSpace): void {
  const control = requireCapability(config, 'pciExpress') + deviceControl.OFFSET;
  config.write16(control, config.read16(control) | deviceControl.INITIATE_FLR);
}
