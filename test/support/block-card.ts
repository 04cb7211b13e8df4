/**
 * A card with two blocks, like an FPGA design: each with registers and memory of its own, an MSI-X vector, a reset and
 * buffers that the kernel allocates. What drivers do to one must not affect the other.
 */
import { type CardEnvironment, type MemoryBar, PciCard, platformDevice } from '../../emulator/pci';
import { registerBlock, registerMap } from '../../emulator/registers';

const PAGE = 4096;
/** The memory of an arm64 guest begins at 1 GiB. */
export const MASK_BITS = 31;
/** By the platform device's name. */
export const VECTORS = { counter: 2, filter: 5 } as const;
export type Block = keyof typeof VECTORS;
export const BLOCKS = Object.keys(VECTORS) as Block[];

const REGISTERS = registerBlock({
  SCRATCH: { offset: 0x00, access: 'rw' },
  /** A write raises the interrupt. */
  TRIGGER: { offset: 0x04, access: 'wo' },
  RESET: {
    offset: 0x08,
    access: 'rw',
    doc: 'Takes three reads of this register.',
    fields: { START: [0], BUSY: { bits: [7], access: 'ro' } },
  },
});
const BAR0 = registerMap(
  { BLOCK: { offset: 0, stride: PAGE, count: BLOCKS.length, registers: REGISTERS } },
  { sizeBytes: 4 * PAGE },
);

export class BlockCard extends PciCard {
  readonly registers = this.registerBar(0, BAR0);
  readonly memory: MemoryBar = this.memoryBar(2, 16 * PAGE);
  readonly resets: Record<Block, number> = { counter: 0, filter: 0 };
  /** A reset that never ends. */
  stuck = false;

  constructor(environment: CardEnvironment = {}) {
    const common = { coherent: true, dmaMaskBits: MASK_BITS } as const;
    super(
      {
        vendorId: 0x1234,
        deviceId: 0x4770,
        classCode: 0x12_00_00,
        msix: { bar: 4, vectors: 8 },
        platformDevices: [
          platformDevice({
            ...common,
            name: 'counter',
            compatible: 'ghostcard,test-counter',
            windows: { registers: { bar: 0, sizeBytes: PAGE }, table: { bar: 2, sizeBytes: 4 * PAGE } },
            interrupt: { msixVector: VECTORS.counter },
            dmaBuffers: { ring: PAGE, log: 64 * PAGE, scratch: 3 * PAGE },
            reset: { window: 'registers', offset: 0x08, value: 1, busyMask: 0x80, limitMs: 50 },
          }),
          platformDevice({
            ...common,
            name: 'filter',
            compatible: 'ghostcard,test-filter',
            windows: {
              registers: { bar: 0, offset: PAGE, sizeBytes: PAGE },
              taps: { bar: 2, offset: 4 * PAGE, sizeBytes: 4 * PAGE },
              results: { bar: 2, offset: 8 * PAGE },
            },
            interrupt: { msixVector: VECTORS.filter },
            dmaBuffers: { ring: 2 * PAGE },
            reset: { window: 'registers', offset: 0x08, value: 1, busyMask: 0x80, limitMs: 50 },
          }),
        ],
      },
      environment,
    );
    for (const [index, block] of BLOCKS.entries()) {
      const registers = this.registers.block('BLOCK', index);
      let busyReads = 0;
      registers.onWrite('TRIGGER', () => this.interrupts.signal(VECTORS[block]));
      registers.onWrite('RESET', ({ value }) => {
        if ((value & 1) === 0) return;
        this.resets[block] += 1;
        registers.set('SCRATCH', 0);
        busyReads = 3;
      });
      registers.onRead('RESET', () => (this.stuck || busyReads-- > 0 ? 0x80 : 0));
    }
  }

  scratchOf(block: Block): number {
    return this.registers.block('BLOCK', BLOCKS.indexOf(block)).get('SCRATCH');
  }
}
