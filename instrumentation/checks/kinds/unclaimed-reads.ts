/**
 * A driver that has a card in use no longer claim its addresses: what is read there then is all ones on the bus, and 0 in
 * an amd64 guest of QEMU's (docs/limits.md). Only what a kernel does not do by itself is reported: it turns decoding off
 * along with Bus Master Enable (to reset a function), or before a BAR is accessed (to size BARs).
 */
import { type Check, isBaseAddress } from '../check';

const COMMAND = 0x04;
const MEMORY_SPACE = 1 << 1;
const BUS_MASTER = 1 << 2;

export const unclaimedReads: Check = {
  doc: 'The driver disables or moves the BARs of a card that it uses: an amd64 guest reads 0 there, not all ones.',
  source: 'PCI Express Base Spec 5.0, 2.3.1 (unsupported requests); docs/limits.md',
  make({ traffic, report }) {
    /** Accesses up to the last reset. */
    let accessesBefore = 0;
    let isDecoded = false;
    const notice = (what: string) =>
      report(
        what,
        () =>
          `the driver ${what}: what it reads at their addresses now is all ones on a board and in an arm64 guest, and 0 in ` +
          'an amd64 guest, where QEMU answers. To test a driver against all ones on amd64, take the link down ' +
          '(docs/limits.md)',
      );
    return {
      config({ kind, offset, data }) {
        if (kind === 'read' || !isDecoded || accessesBefore === traffic.accesses) return;
        if (offset === COMMAND && (data[0]! & (MEMORY_SPACE | BUS_MASTER)) === BUS_MASTER) {
          notice('clears Memory Space Enable while it uses the BARs');
        } else if (isBaseAddress(offset)) notice('writes a BAR while it uses the BARs');
      },
      state({ part, state }) {
        if (part === 'memory decode') isDecoded = state === 'on';
      },
      reset: () => void (accessesBefore = traffic.accesses),
    };
  },
};
