/**
 * What the engine and a driver share: the descriptor and the write-back block in host memory, and a channel's registers.
 * A card embeds CHANNEL_REGISTERS in its register map, once for each channel; the guest's C header comes from these too.
 */
import { registerBlock } from '../../registers';

/** Why an engine halted: STATUS.ERROR_CODE of a channel and of the descriptor that failed. */
export const ERROR_CODES = {
  NONE: 0,
  NOT_OWNED: 1,
  BAD_LENGTH: 2,
  BAD_HOST_ADDRESS: 3,
  BAD_CARD_ADDRESS: 4,
  BUS_MASTER_OFF: 5,
  BAD_RING: 6,
} as const;
/** Names of the error codes of the reference card. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** One entry of a descriptor ring: 32 bytes, little-endian, 32-byte aligned, in host memory. */
export const DESCRIPTOR = registerBlock({
  CONTROL: {
    offset: 0x00,
    access: 'rw',
    doc: 'Written by the driver last; the card writes it last too, with OWNER 0.',
    fields: {
      OWNER: [0, '1: the card may take this descriptor. 0: it belongs to the driver.'],
      INTERRUPT: [1, 'Interrupt on completion of this descriptor (subject to MODERATION).'],
      EOP: [2, 'H2C: the last byte of this descriptor ends a packet.'],
    },
  },
  LENGTH: { offset: 0x04, access: 'rw', doc: 'Bytes to move, 1 to MAX_LENGTH.' },
  HOST_ADDRESS: {
    offset: 0x08,
    width: 64,
    access: 'rw',
    doc: 'Address of the buffer as the card sees it; any alignment.',
  },
  CARD_ADDRESS: { offset: 0x10, width: 64, access: 'rw', doc: 'Offset in card memory; used by MEMORY only.' },
  TRANSFERRED: { offset: 0x18, access: 'ro', doc: 'Written by the card: bytes moved.' },
  STATUS: {
    offset: 0x1c,
    access: 'ro',
    doc: 'Written by the card, before CONTROL.',
    fields: {
      DONE: [0, 'The descriptor is complete.'],
      EOP: [1, 'C2H: the last byte moved ended a packet.'],
      ERROR_CODE: {
        bits: [11, 8],
        role: 'error',
        doc: 'Why the engine halted on this descriptor.',
        values: ERROR_CODES,
      },
    },
  },
});
/** Size of a descriptor of the reference card. */
export const DESCRIPTOR_BYTES = 32;

/** Completion write-back block: 16 bytes, little-endian, 16-byte aligned, in host memory. */
export const WRITEBACK = registerBlock({
  CONSUMER_INDEX: { offset: 0x0, access: 'ro', doc: 'Copy of CONSUMER_INDEX; written last.' },
  STATUS: {
    offset: 0x4,
    access: 'ro',
    doc: 'Copy of the STATUS register of the channel.',
    fields: {
      BUSY: [0],
      HALTED: [1],
      ERROR: { bits: [2], role: 'error' },
      ERROR_CODE: { bits: [11, 8], values: ERROR_CODES },
    },
  },
  COMPLETED: { offset: 0x8, access: 'ro', doc: 'Copy of COMPLETED.' },
  RESERVED: { offset: 0xc, access: 'reserved', doc: 'Not written.' },
});
/** Size of the write-back block of the reference card. */
export const WRITEBACK_BYTES = 16;

/** What a card declares of a channel for tools (`dmaChannel`); `block`: where its registers are, `H2C[0]`. */
export const channelDeclaration = (block: string) => ({
  doorbells: [{ register: `${block}.DOORBELL`, rings: 'changed' }] as const,
  layouts: {
    'descriptor': { fields: DESCRIPTOR, requestsInterrupt: 'CONTROL.INTERRUPT' },
    'write-back': { fields: WRITEBACK },
  },
});

/** One DMA channel, 0x48 bytes. */
export const CHANNEL_REGISTERS = registerBlock({
  CONTROL: {
    offset: 0x00,
    access: 'rw',
    doc: 'Engine control.',
    fields: {
      RUN: [0, 'The engine takes descriptors while this is 1; cleared, it stops after the descriptor in hand.'],
      RESET: {
        bits: [1],
        card: 'clears',
        doc: 'Write 1: ring indexes, counters and errors are cleared, a transfer in hand is discarded. Reads 0.',
      },
    },
  },
  STATUS: {
    offset: 0x04,
    access: 'ro',
    doc: 'Engine state.',
    fields: {
      BUSY: { bits: [0], role: 'status', doc: 'The engine has descriptors in hand.' },
      HALTED: { bits: [1], role: 'status', doc: 'The engine stopped on an error and waits for ERROR to be cleared.' },
      ERROR: {
        bits: [2],
        access: 'w1c',
        role: 'error',
        doc: 'ERROR_CODE says which; write 1 to clear it, and the failing descriptor is fetched again.',
      },
      ERROR_CODE: { bits: [11, 8], doc: 'Why the engine halted.', values: ERROR_CODES },
    },
  },
  RING_BASE: { offset: 0x08, width: 64, access: 'rw', doc: 'Host address of the descriptor ring, a multiple of 32.' },
  RING_SIZE: { offset: 0x10, access: 'rw', doc: 'Descriptors in the ring, a power of two from 2 to 65536.' },
  DOORBELL: {
    offset: 0x14,
    access: 'wo',
    doc: 'Hands descriptors over.',
    fields: { PRODUCER: [15, 0, 'Index one past the last descriptor handed over; equal to CONSUMER_INDEX: none.'] },
  },
  CONSUMER_INDEX: {
    offset: 0x18,
    access: 'ro',
    role: 'status',
    doc: 'Index of the first descriptor that is not complete.',
  },
  ERROR_INDEX: { offset: 0x1c, access: 'ro', doc: 'Index of the descriptor on which the engine halted last.' },
  WRITEBACK_ADDRESS: {
    offset: 0x20,
    width: 64,
    access: 'rw',
    doc: 'Host address of the write-back block, a multiple of 16 (bits 3:0 are ignored); 0: no write-back.',
  },
  MODERATION: {
    offset: 0x28,
    access: 'rw',
    doc: 'Interrupt moderation.',
    fields: {
      COUNT: [15, 0, 'Interrupt after this many INTERRUPT descriptors; 0 and 1: after each.'],
      TIMEOUT_US: [31, 16, 'Or this many microseconds after the first of them; 0: no limit.'],
    },
  },
  ERROR_ADDRESS: {
    offset: 0x30,
    width: 64,
    access: 'ro',
    doc: 'The host or card address that failed; NOT_OWNED, BAD_LENGTH: of the descriptor; BAD_RING: RING_BASE.',
  },
  BYTES: { offset: 0x38, width: 64, access: 'ro', role: 'data', doc: 'Bytes moved since reset.' },
  COMPLETED: { offset: 0x40, access: 'ro', role: 'data', doc: 'Descriptors completed since reset; wraps.' },
});
