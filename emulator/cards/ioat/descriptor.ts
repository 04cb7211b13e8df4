/**
 * What I/OAT and its drivers share in host memory: the descriptor, 64 bytes, and the completion.
 *
 * Models: Linux drivers/dma/ioat/hw.h.
 */
import { structureCodec } from '../../dma';
import { registerBlock } from '../../registers';
import { CHANNEL_STATES } from './registers';

export const IOAT_OPERATIONS = { COPY: 0x00, FILL: 0x01 } as const;

export const IOAT_DESCRIPTOR = registerBlock({
  SIZE: { offset: 0x00, access: 'rw', doc: 'Bytes to move.' },
  CONTROL: {
    offset: 0x04,
    access: 'rw',
    fields: {
      INT_EN: [0, 'Interrupt on completion.'],
      SRC_SNOOP_DIS: [1],
      DEST_SNOOP_DIS: [2],
      COMPL_WRITE: [3, 'Write CHANSTS to CHANCMP on completion.'],
      FENCE: [4, 'The next descriptor waits for this one. The model executes one at a time anyway.'],
      NULL: [5, 'Moves nothing.'],
      SRC_BRK: [6],
      DEST_BRK: [7],
      BUNDLE: [8],
      DEST_DCA: [9],
      HINT: [10],
      OP: { bits: [31, 24], doc: 'Operation.', values: IOAT_OPERATIONS },
    },
  },
  SOURCE: { offset: 0x08, width: 64, access: 'rw', doc: 'Host address to copy from; FILL: the eight bytes to write.' },
  DESTINATION: { offset: 0x10, width: 64, access: 'rw', doc: 'Host address to write to.' },
  NEXT: { offset: 0x18, width: 64, access: 'rw', doc: 'Host address of the next descriptor.' },
  SOFTWARE: { offset: 0x38, width: 64, access: 'rw', doc: "The driver's own." },
});
export const IOAT_DESCRIPTOR_BYTES = 64;

export const IOAT_DESCRIPTOR_CODEC = structureCodec(IOAT_DESCRIPTOR, {
  sizeBytes: 'SIZE',
  interrupt: 'CONTROL.INT_EN',
  reportsCompletion: 'CONTROL.COMPL_WRITE',
  isNull: 'CONTROL.NULL',
  operation: 'CONTROL.OP',
  source: 'SOURCE',
  destination: 'DESTINATION',
  next: 'NEXT',
});

/** What is written to CHANCMP: the register CHANSTS. */
export const IOAT_COMPLETION = registerBlock({
  CHANSTS: {
    offset: 0x0,
    width: 64,
    access: 'ro',
    fields: { STATE: { bits: [2, 0], values: CHANNEL_STATES }, COMPLETED: [63, 6] },
  },
});
