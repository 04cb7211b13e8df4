/**
 * Registers of the Intel I/OAT DMA engine (QuickData Technology), versions 3.2 to 3.4, as far as its drivers use them.
 *
 * Models: names and offsets as in Linux drivers/dma/ioat/registers.h and DPDK drivers/dma/ioat/ioat_hw_defs.h; what they
 * mean is told by the Intel Xeon E5 datasheet, volume 2 (QuickData Technology), against which this was not compared.
 */
import { registerBlock, registerMap } from '../../registers';

/** CHANSTS.STATE, in the register and in memory. */
export const CHANNEL_STATES = { ACTIVE: 0, IDLE: 1, SUSPENDED: 2, HALTED: 3, ARMED: 4 } as const;

/** CHANERR, by its bits: why a channel has halted. */
export const CHANNEL_ERRORS = {
  SOURCE_ADDRESS: 0,
  DESTINATION_ADDRESS: 1,
  NEXT_ADDRESS: 2,
  DESCRIPTOR_ALIGNMENT: 3,
  CHAIN_ADDRESS_VALUE: 4,
  CHANCMD: 5,
  READ_DATA: 8,
  WRITE_DATA: 9,
  DESCRIPTOR_CONTROL: 10,
  DESCRIPTOR_LENGTH: 11,
  COMPLETION_ADDRESS: 12,
} as const;
export type ChannelError = keyof typeof CHANNEL_ERRORS;

const errorFields = {
  SOURCE_ADDRESS: { bits: [0], role: 'error', doc: 'The source cannot be read from.' },
  DESTINATION_ADDRESS: { bits: [1], role: 'error', doc: 'The destination cannot be written to.' },
  NEXT_ADDRESS: { bits: [2], role: 'error', doc: 'The next descriptor cannot be read.' },
  DESCRIPTOR_ALIGNMENT: { bits: [3], role: 'error', doc: 'The next descriptor is not at a multiple of 64.' },
  CHAIN_ADDRESS_VALUE: { bits: [4], role: 'error', doc: 'CHAINADDR is not a multiple of 64.' },
  CHANCMD: { bits: [5], role: 'error', doc: 'More than one command, or one that there is not.' },
  READ_DATA: { bits: [8], role: 'error', doc: 'A read failed on its way.' },
  WRITE_DATA: { bits: [9], role: 'error', doc: 'A write failed on its way.' },
  DESCRIPTOR_CONTROL: { bits: [10], role: 'error', doc: 'An operation that there is not.' },
  DESCRIPTOR_LENGTH: { bits: [11], role: 'error', doc: 'A size of 0, or above XFERCAP.' },
  COMPLETION_ADDRESS: { bits: [12], role: 'error', doc: 'CHANCMP cannot be written to.' },
} as const;

export const IOAT_CHANNEL = registerBlock({
  CHANCTRL: {
    offset: 0x00,
    width: 16,
    access: 'rw',
    doc: 'Channel control.',
    fields: {
      INT_DISABLE: {
        bits: [0],
        access: 'w1c',
        card: 'sets',
        doc: 'Set with each interrupt; there is no other until 1 is written.',
      },
      ERR_COMPLETION_EN: [2, 'An error is reported to CHANCMP.'],
      ANY_ERR_ABORT_EN: [3, 'Any error halts the channel. The errors that there are do so anyway.'],
      ERR_INT_EN: [4, 'An error interrupts.'],
      DESC_ADDR_SNOOP: [5],
      IN_USE: [8, 'Holds what is written: a driver owns the channel.'],
      COMPL_DCA_EN: [9],
      PRIORITY: [15, 12],
    },
  },
  DMA_COMP: { offset: 0x02, width: 16, access: 'ro', reset: 0x2, doc: 'Compatible with DMA version 2 and later.' },
  CHANCMD: {
    offset: 0x04,
    width: 8,
    access: 'rw',
    doc: 'Commands.',
    fields: {
      SUSPEND: { bits: [2], card: 'clears', doc: 'Stops after the descriptor in hand.' },
      ABORT: { bits: [3], card: 'clears', doc: 'Halts at once.' },
      RESUME: { bits: [4], card: 'clears', doc: 'Goes on after SUSPEND.' },
      RESET: { bits: [5], card: 'clears', doc: 'All of the channel but CHANERR and its mask; it is halted.' },
    },
  },
  DMACOUNT: {
    offset: 0x06,
    width: 16,
    access: 'rw',
    doc: 'Doorbell: descriptors handed over since CHAINADDR was written, modulo 65536.',
  },
  CHANSTS: {
    offset: 0x08,
    width: 64,
    access: 'ro',
    doc: 'What the card writes to CHANCMP too.',
    fields: {
      STATE: { bits: [2, 0], role: 'status', doc: 'State of the channel.', reset: 3, values: CHANNEL_STATES },
      UNAFFILIATED_ERR: { bits: [3], doc: 'Reads 0.' },
      SOFT_ERR: { bits: [4], doc: 'Reads 0.' },
      COMPLETED: { bits: [63, 6], role: 'data', doc: 'Address of the last completed descriptor, by 64; 0: none yet.' },
    },
  },
  CHAINADDR: { offset: 0x10, width: 64, access: 'rw', doc: 'Address of the first descriptor; a write starts a chain.' },
  CHANCMP: { offset: 0x18, width: 64, access: 'rw', doc: 'Where completions are written; a multiple of 8.' },
  CDAR: { offset: 0x20, width: 64, access: 'ro', role: 'data', doc: 'Address of the descriptor in hand.' },
  CHANERR: { offset: 0x28, access: 'w1c', doc: 'Why the channel has halted.', fields: errorFields },
  CHANERRMSK: { offset: 0x2c, access: 'rw', doc: 'Errors that do not interrupt.', fields: errorFields },
  DCACTRL: { offset: 0x30, access: 'rw', doc: 'Holds what is written.' },
});

/** DMACAPABILITY: what the model can do beyond copying. */
const FILL_BLOCK = 1 << 6;

const general = registerBlock({
  CHANCNT: { offset: 0x00, width: 8, access: 'ro', doc: 'Channels.' },
  XFERCAP: { offset: 0x01, width: 8, access: 'ro', doc: 'Largest transfer, as a power of two.' },
  GENCTRL: { offset: 0x02, width: 8, access: 'rw', doc: 'General control.', fields: { DEBUG_EN: [0] } },
  INTRCTRL: {
    offset: 0x03,
    width: 8,
    access: 'rw',
    doc: 'Interrupt control. Reading it clears MASTER_INT_EN.',
    fields: {
      MASTER_INT_EN: {
        bits: [0],
        access: 'wrc',
        doc: 'Channels may interrupt; they also may with MSIX_VECTOR_CONTROL.',
      },
      INT_STATUS: { bits: [1], access: 'ro', doc: 'ATTNSTATUS is not 0.' },
      INT: { bits: [2], access: 'ro', doc: 'Both.' },
      MSIX_VECTOR_CONTROL: [3, 'Each channel has a vector of its own; 0: all have vector 0.'],
    },
  },
  ATTNSTATUS: { offset: 0x04, access: 'rc', doc: 'Channels that have interrupted, a bit each.' },
  CBVER: { offset: 0x08, width: 8, access: 'ro', doc: 'Version.', fields: { MAJOR: [7, 4], MINOR: [3, 0] } },
  PERPORTOFFSET: { offset: 0x0a, width: 16, access: 'ro', doc: 'There are no registers by port.' },
  INTRDELAY: {
    offset: 0x0c,
    width: 16,
    access: 'rw',
    doc: 'Interrupt moderation.',
    fields: {
      DELAY_US: [13, 0, 'Microseconds from a completion that interrupts to the interrupt.'],
      COALESCING: { bits: [15], access: 'ro', reset: 1, doc: 'DELAY_US works.' },
    },
  },
  CS_STATUS: { offset: 0x0e, width: 16, access: 'ro', doc: 'Device status: nothing is restricted.' },
  DMACAPABILITY: { offset: 0x10, access: 'ro', reset: FILL_BLOCK, doc: 'Operations.', fields: { FILL_BLOCK: [6] } },
});

/** BAR 0: 16 KiB, with the MSI-X table. */
export const ioatRegisters = (channels: number) =>
  registerMap(
    {
      ...general,
      CHANNEL: { offset: 0x80, stride: 0x80, count: channels, doc: 'Channels.', registers: IOAT_CHANNEL },
    },
    { sizeBytes: 0x4000 },
  );

/** In configuration space: errors again. Drivers clear them, and versions before 3.3 need it. */
export const IOAT_CONFIG = registerMap({
  CHANERR_INT: { offset: 0x180, access: 'w1c', doc: 'Errors of all channels.', fields: errorFields },
  CHANERRMSK_INT: { offset: 0x184, access: 'rw', doc: 'Holds what is written.', fields: errorFields },
});
