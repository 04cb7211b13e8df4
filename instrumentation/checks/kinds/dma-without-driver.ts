/**
 * DMA for a driver that has gone: its process is dead, or it is unbound, and Bus Master Enable is still set, so that the
 * card goes on writing to memory which the kernel gives to others. A card cannot see that; who runs the guest says so.
 */
import { wordBytes } from '../../trace';
import { type Check } from '../check';

export const dmaWithoutDriver: Check = {
  doc: 'The card accesses host memory although its driver has gone: the process has ended, or the driver was unbound.',
  source: 'Linux Documentation/PCI/pci.rst, "Stop all DMA operations": stop the device, then pci_clear_master()',
  make({ traffic, report }) {
    /** How the driver has gone; undefined while there is one. */
    let gone: string | undefined;
    /** The count of writes then; a further one is of a driver that has come. */
    let writesBefore = 0;
    /** The card has used memory since its last reset, and may do so. */
    let isUsed = false;
    let isMaster = false;
    return {
      dma({ kind, channel, iova, sizeBytes, error }) {
        if (error !== undefined) return;
        isUsed = true;
        if (gone === undefined || writesBefore !== traffic.writes) return;
        const how = gone;
        report(channel || 'DMA', () => {
          const does = `${channel || 'the card'} ${kind === 'dma-read' ? 'reads' : 'writes'}`;
          return (
            `${does} ${wordBytes(sizeBytes)} at 0x${iova.toString(16)} although ${how}: Bus Master Enable is still 1, ` +
            'and the memory may belong to someone else by now. Stop the engine and clear Bus Master Enable at the end, ' +
            'however the driver ends'
          );
        });
      },
      state({ part, state }) {
        if (part !== 'bus master') return;
        isMaster = state === 'on';
        if (!isMaster) gone = undefined;
      },
      reset: () => void ((gone = undefined), (isUsed = false)),
      isUnsettled: () => isMaster && isUsed && (gone === undefined || writesBefore !== traffic.writes),
      driverLeft: (what) => void ((gone = what), (writesBefore = traffic.writes)),
    };
  },
};
