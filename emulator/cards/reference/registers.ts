/**
 * The register chapter of the reference card's data sheet. docs/reference-card.md and the guest's C header are generated
 * from here (`npm run generate`).
 */
import { SYNC_REGISTERS } from '../../dma';
import { type RegisterFile, registerBlock, registerMap } from '../../registers';
import { CHANNEL_REGISTERS } from './layout';

export const CHANNEL_PAIRS = 2;
export const VECTORS = 8;
export const MAX_LENGTH_BYTES = 16 << 20;
export const MEMORY_BYTES = 16 << 20;

/** Interrupt sources: bit in the IRQ registers, and MSI / MSI-X vector. */
export const IRQ_SOURCES = { H2C0: 0, H2C1: 1, C2H0: 2, C2H1: 3, USER: 4 } as const;

/** Processing functions: PROCESSING.SELECT of a channel pair. */
export const PROCESSING = { MEMORY: 0, LOOPBACK: 1, CRC32C: 2 } as const;

const irqFields = {
  H2C0: [IRQ_SOURCES.H2C0, 'H2C channel 0.'],
  H2C1: [IRQ_SOURCES.H2C1, 'H2C channel 1.'],
  C2H0: [IRQ_SOURCES.C2H0, 'C2H channel 0.'],
  C2H1: [IRQ_SOURCES.C2H1, 'C2H channel 1.'],
  USER: [IRQ_SOURCES.USER, 'IRQ_TRIGGER only.'],
} as const;

const PAIR = registerBlock({
  PROCESSING: {
    offset: 0x0,
    access: 'rw',
    doc: 'What sits between H2C and C2H of this pair. A write empties its streams; do it while both channels are idle.',
    fields: { SELECT: { bits: [3, 0], doc: 'The processing function.', values: PROCESSING } },
  },
});

/** The registers of the reference card's BAR0 (docs/reference-card.md). */
export const REFERENCE_REGISTERS = registerMap(
  {
    ID: { offset: 0x000, access: 'ro', reset: 0x4748_4331, doc: 'Identity: "GHC1".' },
    VERSION: {
      offset: 0x004,
      access: 'ro',
      reset: 0x0001_0001,
      doc: 'Version of this register map.',
      fields: { MAJOR: [31, 16, 'Changes break drivers.'], MINOR: [15, 0, 'Changes only add.'] },
    },
    CAPABILITIES: {
      offset: 0x008,
      access: 'ro',
      doc: 'What this card has.',
      fields: {
        CHANNEL_PAIRS: { bits: [3, 0], reset: CHANNEL_PAIRS, doc: 'Pairs of an H2C and a C2H channel.' },
        VECTORS: { bits: [15, 8], reset: VECTORS, doc: 'MSI-X vectors.' },
        ADDRESS_BITS: { bits: [23, 16], reset: 64, doc: 'Width of a host address: 64, or less on a card built so.' },
        NON_COHERENT: [
          24,
          '1: the driver must synchronise memory by SYNC. 0: there is no need to, and SYNC does nothing.',
        ],
      },
    },
    SCRATCH: { offset: 0x00c, access: 'rw', doc: 'Holds what is written; no other effect.' },
    CONTROL: {
      offset: 0x010,
      access: 'rw',
      doc: 'Card control.',
      fields: {
        SOFT_RESET: {
          bits: [0],
          card: 'clears',
          doc: 'Write 1: the whole card is reset, this register included. Reads 0.',
        },
      },
    },
    MEMORY_SIZE: {
      offset: 0x018,
      width: 64,
      access: 'ro',
      reset: BigInt(MEMORY_BYTES),
      doc: 'Card memory (BAR2) in bytes.',
    },
    SCRATCH64: { offset: 0x020, width: 64, access: 'rw', doc: 'As SCRATCH, 64 bits.' },
    UPTIME_NS: { offset: 0x028, width: 64, access: 'ro', role: 'data', doc: 'Device time in nanoseconds.' },
    MAX_LENGTH: { offset: 0x030, access: 'ro', reset: MAX_LENGTH_BYTES, doc: 'Longest descriptor in bytes.' },

    IRQ_STATUS: {
      offset: 0x100,
      access: 'w1c',
      doc: 'Sources that have been raised; write 1 to acknowledge.',
      fields: irqFields,
    },
    IRQ_ENABLE: { offset: 0x104, access: 'rw', doc: 'Sources that may interrupt.', fields: irqFields },
    IRQ_TRIGGER: {
      offset: 0x108,
      access: 'wo',
      doc: 'Write 1 to raise a source, for testing a driver.',
      fields: irqFields,
    },
    IRQ_COUNT: {
      offset: 0x10c,
      access: 'ro',
      role: 'data',
      doc: 'Times that an enabled source was raised since reset; wraps.',
    },

    PAIR: { offset: 0x200, stride: 0x10, count: CHANNEL_PAIRS, doc: 'Channel pairs.', registers: PAIR },
    SYNC: { offset: 0x300, doc: 'Synchronising memory.', registers: SYNC_REGISTERS },
    H2C: {
      offset: 0x1000,
      stride: 0x100,
      count: CHANNEL_PAIRS,
      doc: 'Host-to-card channels.',
      registers: CHANNEL_REGISTERS,
    },
    C2H: {
      offset: 0x2000,
      stride: 0x100,
      count: CHANNEL_PAIRS,
      doc: 'Card-to-host channels.',
      registers: CHANNEL_REGISTERS,
    },
  },
  { sizeBytes: 0x4000 },
);

export type ReferenceRegisters = RegisterFile<typeof REFERENCE_REGISTERS.spec>;
