/**
 * Room for a card's BARs in the guest's address space: known before the guest starts for what no slot has room for, and
 * checked again when the guest's kernel has assigned addresses.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.5.1 (types of BARs); Linux Documentation/ABI/testing/sysfs-bus-pci (resource).
 */
import { type PciCard } from '../../emulator/pci';
import { type Guest, prefetchableRoomBytes } from '../launch';

const BARS = 6;
const CONFIG_REGION = 7;
const BASE_ADDRESSES = 0x10;
/** Bits 3:1 of a base address register: prefetchable, 64 bits wide. */
const TYPE = 0b1110;
const WIDE_PREFETCHABLE = 0b1100;
const GIB = 2 ** 30;

interface Room {
  readonly slots: number;
  readonly start: 'warm' | 'cold';
}

/** Throws when no slot has room for the 64-bit prefetchable BARs of a card (of all its functions), or for a BAR that must lie below 4 GiB. */
export function requireRoom(name: string, functions: readonly PciCard[], { slots, start }: Room): void {
  const register = new Uint8Array(4);
  let wideBytes = 0;
  for (const card of functions)
    for (let bar = 0; bar < BARS; bar++) {
      const { sizeBytes } = card.layout.regions[bar]!;
      card.readRegion(CONFIG_REGION, BASE_ADDRESSES + 4 * bar, register);
      if (sizeBytes > 0 && (register[0]! & TYPE) === WIDE_PREFETCHABLE) wideBytes += sizeBytes;
      else if (sizeBytes >= 2 * GIB) {
        throw new Error(
          `The card '${name}' cannot be plugged in: its BAR ${bar} has ${sizeBytes / GIB} GiB and is not 64-bit and ` +
            'prefetchable, so it must lie below 4 GiB, where no guest has that much room. Make it prefetchable (width: 64, ' +
            'prefetchable: true), or smaller.',
        );
      }
    }
  const room = prefetchableRoomBytes(slots, start);
  if (wideBytes <= room) return;
  const boot = prefetchableRoomBytes(slots, 'cold');
  const cure =
    start === 'warm' && wideBytes <= boot
      ? "Start the guest with the card in it (--cold, start: 'cold'): then there is room for " + `${boot / GIB} GiB.`
      : 'Make them smaller.';
  throw new Error(
    `The card '${name}' cannot be plugged in: it has ${wideBytes / GIB} GiB of 64-bit prefetchable BARs, and ` +
      `${start === 'warm' ? 'a slot of a running guest' : 'a guest that boots with it'} has room for ` +
      `${room / GIB} GiB. ${cure}`,
  );
}

/**
 * Throws unless the guest's kernel has assigned addresses to all BARs of a card. When it has not, there is only a line in
 * its log, and drivers fail in ways that do not say why.
 */
export async function requireAddresses(guest: Guest, pciAddress: string, card: PciCard): Promise<void> {
  const lines = (await guest.channel.fetch(`/sys/bus/pci/devices/${pciAddress}/resource`)).toString().split('\n');
  for (const [bar, { sizeBytes }] of card.layout.regions.slice(0, BARS).entries()) {
    const isAssigned = lines[bar]?.split(' ').some((field) => Number(field) !== 0);
    if (sizeBytes === 0 || isAssigned) continue;
    throw new Error(
      `The guest's kernel has no addresses for BAR ${bar} of the card at ${pciAddress}, which has ${sizeBytes} bytes. ` +
        'A slot of a running guest has room for 32 MiB of BARs that are not 64-bit and prefetchable; a guest that boots ' +
        "with the card in it (--cold, start: 'cold') makes room for more.",
    );
  }
}
