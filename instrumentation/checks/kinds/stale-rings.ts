/**
 * Bus Master Enable that is set while an engine still runs on the rings of a driver before: the card begins to access
 * memory that nobody has given to it. It is reported when, since Bus Master Enable was cleared, no register was written.
 */
import { wordBytes } from '../../trace';
import { type Check } from '../check';

export const staleRings: Check = {
  doc: 'Bus Master Enable is set, and an engine goes on with rings that nobody has set up since it was cleared.',
  source: 'Linux Documentation/PCI/pci.rst, "Enable DMA": stop the device, or reset it, before pci_set_master()',
  make({ traffic, report }) {
    /** The card has used memory since its last reset. */
    let isUsed = false;
    /** Bus Master Enable was cleared after that: the count of writes then. */
    let writesBefore = -1;
    let isOn = false;
    return {
      dma({ kind, channel, iova, sizeBytes, error }) {
        if (error !== undefined) return;
        isUsed = true;
        if (!isOn || writesBefore !== traffic.writes) return;
        writesBefore = -1;
        report(channel || 'DMA', () => {
          const does = `${channel || 'the card'} ${kind === 'dma-read' ? 'reads' : 'writes'}`;
          return (
            `${does} ${wordBytes(sizeBytes)} at 0x${iova.toString(16)} right after Bus Master Enable was set, and no ` +
            'register has been written since it was cleared: an engine still runs on what an earlier driver has set ' +
            'up. Stop or reset the card before Bus Master Enable is set'
          );
        });
      },
      state({ part, state }) {
        if (part !== 'bus master') return;
        isOn = state === 'on';
        if (!isOn) writesBefore = isUsed ? traffic.writes : -1;
      },
      reset: () => void ((isUsed = false), (writesBefore = -1)),
    };
  },
};
