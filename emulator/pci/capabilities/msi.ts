/**
 * Layout of the MSI capability: 64-bit message address, per-vector masks and pending bits.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.1 (figure 6-9, the 64-bit form with per-vector masking).
 */
import { registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';

const MSI_ID = 0x05;

/** `vectors`: a power of two up to 32. */
export const msiCapability = sharedMaps((vectors: number) =>
  registerMap(
    {
      ID: { offset: 0x00, width: 8, access: 'ro', reset: MSI_ID },
      NEXT: { offset: 0x01, width: 8, access: 'ro' },
      CONTROL: {
        offset: 0x02,
        width: 16,
        access: 'ro',
        fields: {
          ENABLE: { bits: [0], access: 'rw', doc: 'Interrupts are sent as messages, not as INTx.' },
          MULTIPLE_MESSAGE_CAPABLE: { bits: [3, 1], reset: Math.log2(vectors), doc: 'log2 of the supported vectors.' },
          MULTIPLE_MESSAGE_ENABLE: { bits: [6, 4], access: 'rw', doc: 'log2 of the vectors allocated by the system.' },
          ADDRESS_64: { bits: [7], reset: 1 },
          PER_VECTOR_MASKING: { bits: [8], reset: 1 },
        },
      },
      ADDRESS_LOW: { offset: 0x04, access: 'ro', fields: { ADDRESS: { bits: [31, 2], access: 'rw' } } },
      ADDRESS_HIGH: { offset: 0x08, access: 'rw' },
      DATA: { offset: 0x0c, width: 16, access: 'rw' },
      MASK: {
        offset: 0x10,
        access: 'ro',
        doc: 'Vectors whose messages are masked.',
        fields: { VECTORS: { bits: [vectors - 1, 0], access: 'rw' } },
      },
      PENDING: { offset: 0x14, access: 'ro', doc: 'Vectors with a message pending.' },
    },
    { sizeBytes: 32 },
  ),
);
