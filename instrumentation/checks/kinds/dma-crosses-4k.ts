/**
 * A DMA request that crosses a 4 KiB boundary. An access that may be one request is one that is no longer than
 * Max_Read_Request_Size or, of a write, Max_Payload_Size: what is longer, the card sends as several, wherever it lies.
 */
import { Region } from '../../../emulator/pci';
import { type Check, type CheckSite } from '../check';
import { wordBytes } from '../../trace';

const PAGE_BYTES = 4096;
/** Device Control: Max_Payload_Size in bits 7:5, Max_Read_Request_Size in bits 14:12, each 128 bytes shifted. */
const DEVICE_CONTROL = 'config:PCIE.DEVICE_CONTROL';

export const dmaCrosses4k: Check = {
  doc: 'A DMA request of the card crosses a 4 KiB boundary.',
  source: 'PCI Express Base Spec 5.0, 2.2.7',
  make: ({ report, card, registers }) => ({
    dma({ kind, channel, role, iova, sizeBytes }) {
      // The lower 12 bits are right for every address below 2^53.
      if ((iova & (PAGE_BYTES - 1)) + sizeBytes <= PAGE_BYTES || sizeBytes > PAGE_BYTES) return;
      const isRead = kind === 'dma-read';
      if (sizeBytes > largestRequest({ card, registers }, isRead)) return;
      report(channel || 'DMA', () => {
        const boundary = iova - (iova & (PAGE_BYTES - 1)) + PAGE_BYTES;
        const by = `${channel || 'the card'} ${isRead ? 'reads' : 'writes'}`;
        return (
          `${by} ${wordBytes(sizeBytes)} at 0x${iova.toString(16)}${role === 'other' ? '' : ` (${role})`}, across the ` +
          `4 KiB boundary at 0x${boundary.toString(16)}: no request crosses one (PCIe 2.2.7), and a root complex may ` +
          'drop it as malformed. The card must make two requests of it'
        );
      });
    },
  }),
};

/** In bytes; as configuration space has it now. */
function largestRequest({ card, registers }: Pick<CheckSite, 'card' | 'registers'>, isRead: boolean): number {
  const control = registers.names.all.find(({ name }) => name === DEVICE_CONTROL);
  if (control === undefined) return 0;
  const data = new Uint8Array(2);
  card.readRegion(Region.CONFIG, control.offset, data);
  const value = data[0]! | (data[1]! << 8);
  return 128 << ((isRead ? value >> 12 : value >> 5) & 7);
}
