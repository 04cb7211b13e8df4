/**
 * The registers of the kernel's endpoint test function, at the start of BAR0.
 *
 * Models: Linux Documentation/PCI/endpoint/pci-test-function.rst. FLAGS and CAPS, which it does not have yet, as
 * drivers/misc/pci_endpoint_test.c uses them (Linux 5.19 and 6.15).
 */
import { registerMap } from '../../registers';

/** IRQ_TYPE: what interrupts when a command is done. */
export const IRQ_TYPES = { INTX: 0, MSI: 1, MSIX: 2 } as const;

export const PCI_ENDPOINT_TEST_REGISTERS = registerMap(
  {
    MAGIC: { offset: 0x00, access: 'rw', doc: 'Holds what is written; no other effect.' },
    COMMAND: {
      offset: 0x04,
      access: 'rw',
      doc: 'What the card is to do; 0 as soon as it begins.',
      fields: {
        RAISE_INTX: { bits: [0], card: 'clears', doc: 'Assert INTx.' },
        RAISE_MSI: { bits: [1], card: 'clears', doc: 'Send the MSI message IRQ_NUMBER.' },
        RAISE_MSIX: { bits: [2], card: 'clears', doc: 'Send the MSI-X message IRQ_NUMBER.' },
        READ: { bits: [3], card: 'clears', doc: 'Read SIZE bytes at SRC_ADDR, and compare their CRC with CHECKSUM.' },
        WRITE: { bits: [4], card: 'clears', doc: 'Write SIZE bytes to DST_ADDR, and their CRC to CHECKSUM.' },
        COPY: { bits: [5], card: 'clears', doc: 'Copy SIZE bytes from SRC_ADDR to DST_ADDR.' },
      },
    },
    STATUS: {
      offset: 0x08,
      access: 'rw',
      doc: 'What has become of the last command.',
      fields: {
        READ_SUCCESS: { bits: [0], card: 'changes', role: 'status' },
        READ_FAIL: { bits: [1], card: 'changes', role: 'error' },
        WRITE_SUCCESS: { bits: [2], card: 'changes', role: 'status' },
        WRITE_FAIL: { bits: [3], card: 'changes', role: 'error' },
        COPY_SUCCESS: { bits: [4], card: 'changes', role: 'status' },
        COPY_FAIL: { bits: [5], card: 'changes', role: 'error' },
        IRQ_RAISED: { bits: [6], card: 'changes', role: 'status', doc: 'Write 0 to deassert INTx.' },
        SRC_ADDR_INVALID: { bits: [7], card: 'changes', role: 'error' },
        DST_ADDR_INVALID: { bits: [8], card: 'changes', role: 'error' },
      },
    },
    LOWER_SRC_ADDR: { offset: 0x0c, access: 'rw' },
    UPPER_SRC_ADDR: { offset: 0x10, access: 'rw' },
    LOWER_DST_ADDR: { offset: 0x14, access: 'rw' },
    UPPER_DST_ADDR: { offset: 0x18, access: 'rw' },
    SIZE: { offset: 0x1c, access: 'rw', doc: 'Bytes.' },
    CHECKSUM: { offset: 0x20, access: 'rw', doc: 'CRC-32, little-endian, begun with ones and not inverted.' },
    IRQ_TYPE: {
      offset: 0x24,
      access: 'rw',
      doc: 'What interrupts after READ, WRITE and COPY: INTx 0, MSI 1, MSI-X 2.',
    },
    IRQ_NUMBER: { offset: 0x28, access: 'rw', doc: 'Of the message, from 1.' },
    FLAGS: {
      offset: 0x2c,
      access: 'rw',
      fields: { USE_DMA: [0, 'The DMA engine moves the data, not the processor.'] },
    },
    CAPS: {
      offset: 0x30,
      access: 'ro',
      fields: {
        UNALIGNED_ACCESS: { bits: [0], reset: 1, doc: 'Addresses need no alignment.' },
        MSI: [1],
        MSIX: [2],
        INTX: [3],
      },
    },
  },
  { sizeBytes: 0x1_0000 },
);
