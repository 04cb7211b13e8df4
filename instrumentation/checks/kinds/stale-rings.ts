/**
 * Bus Master Enable that is set while an engine still runs on the rings of a driver before: the card begins to access
 * memory that nobody has given to it. It is reported when, since Bus Master Enable was cleared, no register was written.
 * A reset clears it too, and has to stop all engines.
 */
import { wordBytes } from '../../trace';
import { type Check } from '../check';

export const staleRings: Check = {
  doc: 'Bus Master Enable is set, and an engine goes on with rings that nobody has set up since it was cleared, or since the card was reset.',
  source: 'Linux Documentation/PCI/pci.rst, "Enable DMA": stop the device, or reset it, before pci_set_master()',
  make({ card, traffic, report }) {
    /** The card has used memory. */
    let isUsed = false;
    let isReset = false;
    /** Bus Master Enable was cleared after that: the count of writes then. */
    let writesBefore = -1;
    let isOn = false;
    return {
      dma({ kind, channel, iova, sizeBytes, error }) {
        if (error !== undefined) return;
        isUsed = true;
        if (!isOn || writesBefore !== traffic.writes) return;
        writesBefore = -1;
        if (card.layout.regions.some(({ mappable }) => mappable !== undefined)) return; // not all writes are seen
        report(channel || 'DMA', () => {
          const does = `${channel || 'the card'} ${kind === 'dma-read' ? 'reads' : 'writes'}`;
          const [since, cure] = isReset
            ? ['the card was reset', 'The reset has not stopped it, as it has to (PCIe 6.6.2): stop it before']
            : ['it was cleared', 'Stop or reset the card before Bus Master Enable is set'];
          return (
            `${does} ${wordBytes(sizeBytes)} at 0x${iova.toString(16)} right after Bus Master Enable was set, and no ` +
            `register has been written since ${since}: an engine still runs on what an earlier driver has set up. ${cure}`
          );
        });
      },
      state({ part, state }) {
        if (part !== 'bus master') return;
        isOn = state === 'on';
        if (isOn) return;
        if (writesBefore !== traffic.writes) isReset = false;
        writesBefore = isUsed ? traffic.writes : -1;
      },
      reset() {
        isReset = true;
        writesBefore = isUsed ? traffic.writes : -1;
      },
    };
  },
};
