/**
 * The expansion ROM: code or data of the card that firmware and drivers read, an image of the author's in a region of its
 * own. What is in it (the signature 0x55aa, headers, checksums) is the author's business.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.5.2 (base address register) and 6.3 (contents).
 */
import { type BarTarget } from './bars';
import { CardDefinitionError } from './identity';

const ENABLE = 1;
/** The address bits of the register are 31:11. */
const SMALLEST_BYTES = 2048;
const LARGEST_BYTES = 16 << 20;

export class ExpansionRom implements BarTarget {
  readonly sizeBytes: number;

  /** Throws CardDefinitionError when `image` is empty or larger than 16 MiB. */
  constructor(private readonly image: Uint8Array) {
    if (image.length === 0 || image.length > LARGEST_BYTES) {
      throw new CardDefinitionError(
        `the expansion ROM is ${image.length} bytes: it must be 1 to ${LARGEST_BYTES} (16 MiB)`,
      );
    }
    this.sizeBytes = Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(image.length)));
  }

  /** What the register reads after `stored` was written to it. */
  present(stored: number): number {
    return (stored & (~(this.sizeBytes - 1) | ENABLE)) >>> 0;
  }

  /** Behind the image, the ROM reads ones, as one that is not programmed. */
  read(offset: number, data: Uint8Array): void {
    data.fill(0xff);
    data.set(this.image.subarray(offset, offset + data.length));
  }

  write(): void {}
}
