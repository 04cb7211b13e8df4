/**
 * What the core reads and writes in host memory, and what each channel declares of it for tools.
 *
 * Models: AMD PG195, chapters Descriptors, Poll Mode and DMA C2H Stream.
 */
import { structureCodec } from '../../dma';
import { type DmaChannelDeclaration } from '../../pci';
import { registerBlock } from '../../registers';

/** What the field MAGIC of each descriptor must be. */
export const XDMA_MAGIC = 0xad4b;
/** The same of the result of a stream descriptor. */
export const XDMA_STREAM_MAGIC = 0x52b4;
/** Size of a descriptor of XDMA. */
export const XDMA_DESCRIPTOR_BYTES = 32;

/** A descriptor of XDMA (AMD PG195, Descriptors). */
export const XDMA_DESCRIPTOR = registerBlock({
  CONTROL: {
    offset: 0x00,
    access: 'rw',
    fields: {
      MAGIC: { bits: [31, 16], doc: '0xad4b.' },
      NXT_ADJ: [13, 8, 'Descriptors right behind the next one; the block of them lies in one page of 4 KiB.'],
      EOP: [4, 'H2C streams: the last byte ends a packet.'],
      COMPLETED: [1, 'Log DESCRIPTOR_COMPLETED, which may interrupt, and write the polled count back.'],
      STOP: [0, 'The last one.'],
    },
  },
  LENGTH: { offset: 0x04, access: 'rw', fields: { BYTES: [27, 0] } },
  SOURCE: {
    offset: 0x08,
    width: 64,
    access: 'rw',
    doc: 'H2C: host. C2H: card; of a stream, host address of the result.',
  },
  DESTINATION: { offset: 0x10, width: 64, access: 'rw', doc: 'H2C: card. C2H: host.' },
  NEXT: { offset: 0x18, width: 64, access: 'rw', doc: 'Host address of the next one, unless that is adjacent.' },
});

/** What a card writes for a driver that polls. */
export const XDMA_POLLED_COUNT = registerBlock({
  COUNT: { offset: 0x0, access: 'rw', fields: { ERROR: { bits: [31], role: 'error' }, COMPLETED: [23, 0] } },
});

/** What a C2H stream has received by one descriptor. */
export const XDMA_STREAM_RESULT = registerBlock({
  STATUS: { offset: 0x0, access: 'rw', fields: { MAGIC: { bits: [31, 16], doc: '0x52b4.' }, EOP: [0] } },
  LENGTH: { offset: 0x4, access: 'rw', doc: 'Bytes.' },
});

const common = {
  magic: 'CONTROL.MAGIC',
  nextAdjacent: 'CONTROL.NXT_ADJ',
  endOfPacket: 'CONTROL.EOP',
  completed: 'CONTROL.COMPLETED',
  stop: 'CONTROL.STOP',
  lengthBytes: 'LENGTH.BYTES',
  next: 'NEXT',
} as const;

export type Direction = 'h2c' | 'c2h';

/** Descriptors as the two kinds of engine understand them. */
export const CODECS = {
  h2c: structureCodec(XDMA_DESCRIPTOR, { ...common, hostAddress: 'SOURCE', cardAddress: 'DESTINATION' }),
  c2h: structureCodec(XDMA_DESCRIPTOR, { ...common, hostAddress: 'DESTINATION', cardAddress: 'SOURCE' }),
};

/** Of the channel whose registers begin with `block`: `H2C[0]`. */
export function channelDeclaration(block: string, isStreamResult: boolean): DmaChannelDeclaration {
  const counts = { fields: XDMA_POLLED_COUNT };
  return {
    doorbells: [`${block}.CONTROL.RUN`, `${block}.CONTROL_W1S.RUN`],
    layouts: {
      descriptor: { fields: XDMA_DESCRIPTOR, requestsInterrupt: 'CONTROL.COMPLETED' },
      ...(isStreamResult
        ? { 'write-back': { fields: XDMA_STREAM_RESULT }, 'other': counts }
        : { 'write-back': counts }),
    },
  };
}
