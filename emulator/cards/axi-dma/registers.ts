/**
 * Registers and descriptors of AXI DMA: two channels with the same registers, MM2S from memory to stream and S2MM from
 * stream to memory. Where the two have a name of their own for a register, PG021's are in its description.
 *
 * Models: AMD PG021 (AXI DMA v7.1), chapters "Register Space" and "Scatter Gather Descriptor".
 */
import { SYNC_REGISTERS } from '../../dma';
import { registerBlock, registerMap } from '../../registers';

const POINTER = 'A multiple of 64; the bits below are reserved.';

/** One channel. */
export const AXI_DMA_CHANNEL = registerBlock({
  DMACR: {
    offset: 0x00,
    access: 'rw',
    doc: 'Control.',
    fields: {
      RS: { bits: [0], card: 'clears', doc: '1: run. 0: stop after what is under way. An error clears it.' },
      ONE: { bits: [1], access: 'ro', reset: 1, doc: 'Reserved, reads 1.' },
      RESET: { bits: [2], card: 'clears', doc: 'Write 1: both channels are reset.' },
      KEYHOLE: [3, 'Has no effect here.'],
      CYCLIC: [4, 'Descriptors are run through again and again, complete or not, whatever the tail.'],
      IOC_IRQ_EN: [12, 'Interrupt when IRQ_THRESHOLD packets are complete.'],
      DLY_IRQ_EN: [13, 'Interrupt after IRQ_DELAY.'],
      ERR_IRQ_EN: [14, 'Interrupt on an error.'],
      IRQ_THRESHOLD: { bits: [23, 16], reset: 1, doc: 'Packets for an interrupt; writing 0 has no effect.' },
      IRQ_DELAY: [31, 24, 'Time after the last packet, in units of 125 clock cycles; 0: no limit.'],
    },
  },
  DMASR: {
    offset: 0x04,
    access: 'ro',
    doc: 'Status.',
    fields: {
      HALTED: { bits: [0], reset: 1, role: 'status', doc: 'Stopped: DMACR.RS is 0, and nothing is under way.' },
      IDLE: { bits: [1], role: 'status', doc: 'At the tail, or the transfer is complete; 0 while halted.' },
      SG_INCLD: [3, 'Built with scatter-gather; otherwise ADDRESS and LENGTH are used.'],
      DMA_INT_ERR: {
        bits: [4],
        role: 'error',
        doc: 'A length of 0; without scatter-gather, a packet longer than LENGTH.',
      },
      DMA_SLV_ERR: { bits: [5], role: 'error', doc: 'Memory has answered an access to data with an error.' },
      DMA_DEC_ERR: { bits: [6], role: 'error', doc: 'There is no memory at the address of the data.' },
      SG_INT_ERR: { bits: [8], role: 'error', doc: 'A descriptor was fetched that is complete already.' },
      SG_SLV_ERR: { bits: [9], role: 'error', doc: 'Memory has answered an access to a descriptor with an error.' },
      SG_DEC_ERR: { bits: [10], role: 'error', doc: 'There is no memory at the address of the descriptor.' },
      IOC_IRQ: { bits: [12], access: 'w1c', card: 'sets', role: 'status', doc: 'IRQ_THRESHOLD packets are complete.' },
      DLY_IRQ: { bits: [13], access: 'w1c', card: 'sets', role: 'status', doc: 'IRQ_DELAY has passed.' },
      ERR_IRQ: { bits: [14], access: 'w1c', card: 'sets', role: 'error', doc: 'The channel has stopped on an error.' },
      IRQ_THRESHOLD_STS: { bits: [23, 16], role: 'data', doc: 'Packets until the next interrupt.' },
    },
  },
  CURDESC: {
    offset: 0x08,
    access: 'rw',
    doc: 'The descriptor in hand, or the first; read-only while DMACR.RS is 1.',
    fields: { POINTER: { bits: [31, 6], card: 'changes', doc: POINTER } },
  },
  CURDESC_MSB: { offset: 0x0c, access: 'rw', doc: 'Upper half, with more than 32 address bits.' },
  TAILDESC: {
    offset: 0x10,
    access: 'rw',
    doc: 'The last descriptor for now. With 32 address bits, a write starts the channel.',
    fields: { POINTER: [31, 6, POINTER] },
  },
  TAILDESC_MSB: {
    offset: 0x14,
    access: 'rw',
    doc: 'With more than 32 address bits, a write of this starts the channel.',
  },
  ADDRESS: { offset: 0x18, access: 'rw', doc: 'MM2S_SA, S2MM_DA: the buffer, without scatter-gather.' },
  ADDRESS_MSB: { offset: 0x1c, access: 'rw', doc: 'Upper half, with more than 32 address bits.' },
  LENGTH: {
    offset: 0x28,
    access: 'rw',
    doc: 'Without scatter-gather: a write starts the transfer. S2MM: then the bytes received.',
    fields: { BYTES: { bits: [25, 0], card: 'changes' } },
  },
});

/** The core has 0x00 to 0x5f. SYNC is not of the core: it stands for the processor's instructions (docs/coherence.md). */
export const AXI_DMA_REGISTERS = registerMap(
  {
    MM2S: { offset: 0x00, registers: AXI_DMA_CHANNEL, doc: 'Memory to stream.' },
    S2MM: { offset: 0x30, registers: AXI_DMA_CHANNEL, doc: 'Stream to memory.' },
    SYNC: { offset: 0x800, registers: SYNC_REGISTERS, doc: 'Not of the core: synchronising memory.' },
  },
  { sizeBytes: 0x1_0000 },
);

/** A descriptor: 52 bytes at a multiple of 64. */
export const AXI_DMA_DESCRIPTOR = registerBlock({
  NXTDESC: { offset: 0x00, width: 64, access: 'rw', doc: 'Host address of the next one, a multiple of 64.' },
  BUFFER_ADDRESS: { offset: 0x08, width: 64, access: 'rw', doc: 'Host address of the data.' },
  CONTROL: {
    offset: 0x18,
    access: 'rw',
    fields: {
      SOF: [27, 'MM2S: the buffer begins a packet.'],
      EOF: [26, 'MM2S: the buffer ends a packet.'],
      LENGTH: [25, 0, 'Bytes to send; or, S2MM, size of the buffer.'],
    },
  },
  STATUS: {
    offset: 0x1c,
    access: 'ro',
    doc: 'Written by the card.',
    fields: {
      CMPLT: [31, 'Complete. The driver clears it before it hands the descriptor over again.'],
      DMA_DEC_ERR: { bits: [30], role: 'error' },
      DMA_SLV_ERR: { bits: [29], role: 'error' },
      DMA_INT_ERR: { bits: [28], role: 'error' },
      SOF: [27, 'S2MM: the buffer has the beginning of a packet.'],
      EOF: [26, 'S2MM: the buffer has the end of a packet.'],
      BYTES: [25, 0, 'Bytes that were moved.'],
    },
  },
  APP0: { offset: 0x20, access: 'rw', doc: 'For user logic; not used here, nor are the four that follow.' },
  APP4: { offset: 0x30, access: 'rw' },
});
/** Size of a descriptor of AXI DMA. */
export const AXI_DMA_DESCRIPTOR_BYTES = 64;
