/** What an instrument has to say of a card or its driver: a check, or the detection of stalled drivers. */
import { type DmaReference } from '../../emulator/pci';

/** What an instrument has to say of a card or its driver. */
export interface CardNotice {
  /** The name of the check, by which it is switched off. */
  readonly kind: string;
  /** The register that it is about: `H2C[0].STATUS`. */
  readonly register?: string;
  /** The interrupt that it is about: an interrupt index of VFIO (INTx 0, MSI 1, MSI-X 2) and a vector. */
  readonly interrupt?: { readonly index: number; readonly vector: number };
  /** The code of the driver that it is about: `driver.c:212 ring_doorbell`. */
  readonly code?: string;
  /** The DMA of the card that it is about. */
  readonly dma?: DmaReference;
  /** The whole notice, in a few sentences. */
  readonly text: string;
}
