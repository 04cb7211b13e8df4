/**
 * Whether the guest's kernel has found addresses for all BARs of a card. For one that it has not, it shows nothing but a
 * line in its log, and drivers fail in ways that do not say why.
 *
 * Source: Linux Documentation/ABI/testing/sysfs-bus-pci (resource).
 */
import { type PciCard } from '../../emulator/pci';
import { type Guest } from '../launch';

const BARS = 6;

export async function requireAddresses(guest: Guest, pciAddress: string, card: PciCard): Promise<void> {
  const lines = (await guest.channel.fetch(`/sys/bus/pci/devices/${pciAddress}/resource`)).toString().split('\n');
  for (const [bar, { sizeBytes }] of card.layout.regions.slice(0, BARS).entries()) {
    const isThere = lines[bar]?.split(' ').some((field) => Number(field) !== 0);
    if (sizeBytes === 0 || isThere) continue;
    throw new Error(
      `The guest's kernel has no addresses for BAR ${bar} of the card at ${pciAddress}, which has ${sizeBytes} bytes. ` +
        'A slot of a running guest has room for 8 GiB of 64-bit prefetchable BARs and 32 MiB of others; a guest that ' +
        "boots with the card in it (--cold, start: 'cold') makes room for more.",
    );
  }
}
