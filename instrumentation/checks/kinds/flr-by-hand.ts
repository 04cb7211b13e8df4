/**
 * A driver that writes Initiate Function Level Reset itself, and restores nothing. The reset clears BARs, MSI and MSI-X,
 * which QEMU keeps for the guest (docs/limits.md), so such a driver works here and not on a board. Linux' own reset turns
 * decoding off before.
 */
import { type Check, isBaseAddress } from '../check';

export const flrByHand: Check = {
  doc: 'The driver initiates a function-level reset itself and uses the card again, with BARs that it has not restored.',
  source: 'PCI Express Base Spec 5.0, 6.6.2; docs/limits.md',
  make({ report }) {
    let isDecoded = false;
    let isCleared = false;
    return {
      config({ kind, offset }) {
        if (kind === 'write' && isBaseAddress(offset)) isCleared = false;
      },
      state({ part, state }) {
        if (part !== 'memory decode') return;
        isDecoded = state === 'on';
        if (!isDecoded || !isCleared) return;
        isCleared = false;
        report(
          'Memory Space Enable',
          () =>
            'the driver enables the BARs again after a function-level reset that it has initiated itself, and has not ' +
            'restored them: a board has cleared BARs, MSI and MSI-X, and does not answer; QEMU keeps them for the guest. ' +
            'Restore configuration space (pci_restore_state), or have the kernel reset the function: "reset" in sysfs, ' +
            'VFIO_DEVICE_RESET (docs/limits.md)',
        );
      },
      reset({ reset }) {
        isCleared = reset === 'flr' && isDecoded;
      },
    };
  },
};
