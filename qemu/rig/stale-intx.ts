/**
 * Releases the stale INTx lines of a card in a guest: QEMU deasserts a line only when a BAR of the card is accessed, so its
 * monitor reads a byte (`IntxRelease`). A line that falls in an access of the driver needs no read: QEMU's own release
 * follows the access, and arrives before the event loop is reached.
 */
import { type IntxRelease } from '../../emulator/pci';

/** QEMU may have yet to see that the line was asserted: then a read has no effect, and another one follows. */
const MOST_READS = 20;

export class StaleIntx {
  #isBusy = false;

  /** `readByte` reads a byte of the guest's bus; `onStuck` is called when reads do not release the line. */
  constructor(
    private readonly release: IntxRelease,
    private readonly readByte: (busAddress: number) => Promise<unknown>,
    private readonly onStuck: (message: string) => void,
  ) {
    release.onStale = () => this.#releaseSoon();
  }

  #releaseSoon(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    setImmediate(() => {
      this.#release().catch((error: Error) => this.onStuck(error.message));
    });
  }

  async #release(): Promise<void> {
    try {
      for (let reads = 0; reads < MOST_READS; reads++) {
        const busAddress = this.release.expectRead();
        if (busAddress === undefined) return;
        await this.readByte(busAddress).finally(() => this.release.readDone());
      }
    } finally {
      this.#isBusy = false;
    }
    if (!this.release.isNeeded) return;
    this.onStuck(
      `the card has deasserted INTx, but QEMU keeps the line asserted after ${MOST_READS} reads of a BAR by its monitor: ` +
        'the guest may count interrupts that nobody handles until its driver accesses a BAR',
    );
  }
}
