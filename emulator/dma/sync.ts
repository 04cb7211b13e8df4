/**
 * Registers by which a driver synchronises memory with a card that is not coherent, and what they do. A card embeds
 * SYNC_REGISTERS in its register map and hands them to a SyncUnit with its `coherence`; a coherent card, which has none,
 * may have the registers all the same: synchronising then does nothing.
 *
 * Models: Linux Documentation/core-api/dma-api.rst, dma_sync_single_for_device and dma_sync_single_for_cpu; on real boards
 * these are instructions of the processor, of which no device hears.
 */
import { type Coherence, type Completion, DmaError } from '../memory';
import { registerBlock, type RegisterView } from '../registers';

/** Why a synchronisation was not done. */
export const SYNC_ERRORS = { NONE: 0, BAD_SIZE: 1, BAD_ADDRESS: 2, VIEW_FULL: 3, BUSY: 4 } as const;

const GO = [0, 'Write 1: do it.'] as const;

/** Registers by which a driver synchronises memory with a card that is not coherent. */
export const SYNC_REGISTERS = registerBlock({
  ADDRESS: { offset: 0x00, width: 64, access: 'rw', doc: 'Host address of the range to synchronise.' },
  SIZE: {
    offset: 0x08,
    access: 'rw',
    doc: 'Bytes in the range. It is rounded outwards to cache lines, that is to multiples of 64.',
  },
  FOR_DEVICE: {
    offset: 0x0c,
    access: 'wo',
    doc: 'The card sees the range as it is in memory now. What it had written there and was not synchronised is lost.',
    fields: { GO },
  },
  FOR_CPU: {
    offset: 0x10,
    access: 'wo',
    doc: 'What the card has written to the range since is in memory when this is done.',
    fields: { GO },
  },
  STATUS: {
    offset: 0x14,
    access: 'ro',
    doc: 'Read it after FOR_DEVICE or FOR_CPU: the range is synchronised when it reads 0.',
    fields: {
      BUSY: {
        bits: [0],
        role: 'status',
        doc: 'It is under way: memory of this client can be reached by message only.',
      },
      ERROR: { bits: [1], access: 'w1c', role: 'error', doc: 'One was not done. Write 1 to clear it and ERROR_CODE.' },
      ERROR_CODE: { bits: [11, 8], doc: 'Why, of the first that was not.', values: SYNC_ERRORS },
    },
  },
  ERROR_ADDRESS: { offset: 0x18, width: 64, access: 'ro', doc: 'ADDRESS of that one.' },
  NEVER_SYNCED: {
    offset: 0x20,
    access: 'ro',
    doc: 'Bytes that the card has read and that had never been synchronised for it: it was given "NOT SYNCHRONISED".',
  },
  STALE: { offset: 0x24, access: 'ro', doc: 'Bytes that the card has read while others were in memory.' },
  AWAITING_CPU: {
    offset: 0x28,
    access: 'ro',
    doc: 'Bytes that the card has written, not yet synchronised for the CPU.',
  },
  OVERWRITTEN: { offset: 0x2c, access: 'ro', doc: 'Bytes of these that FOR_DEVICE has replaced, in whole lines.' },
  BAD_READ_ADDRESS: {
    offset: 0x30,
    width: 64,
    access: 'ro',
    doc: 'Host address of the last read that counts in NEVER_SYNCED or STALE. No reset touches these five.',
  },
});

/** What SYNC_REGISTERS do. */
export class SyncUnit {
  /** Those begun before a reset concern nobody. */
  #resets = 0;

  constructor(
    private readonly registers: RegisterView<typeof SYNC_REGISTERS>,
    private readonly coherence: Coherence | undefined,
  ) {
    registers.onWrite('FOR_DEVICE', ({ data }) => {
      if (data & 1) this.#synchronise('synchroniseForDevice');
    });
    registers.onWrite('FOR_CPU', ({ data }) => {
      if (data & 1) this.#synchronise('synchroniseForCpu');
    });
    registers.onWrite('STATUS', () => {
      if (registers.get('STATUS.ERROR') === 0) registers.set('STATUS.ERROR_CODE', SYNC_ERRORS.NONE);
    });
    if (coherence === undefined) return;
    const { counts } = coherence;
    registers.onRead('NEVER_SYNCED', () => counts.neverSynchronised >>> 0);
    registers.onRead('STALE', () => counts.stale >>> 0);
    registers.onRead('AWAITING_CPU', () => counts.awaitingCpu >>> 0);
    registers.onRead('OVERWRITTEN', () => counts.overwritten >>> 0);
    registers.onRead('BAD_READ_ADDRESS', () => BigInt(coherence.lastBadRead ?? 0));
  }

  /** The registers have their reset values: what is under way is not waited for any more. */
  reset(): void {
    this.#resets++;
  }

  #synchronise(how: 'synchroniseForDevice' | 'synchroniseForCpu'): void {
    const { registers, coherence } = this;
    if (coherence === undefined) return;
    const address = registers.get('ADDRESS');
    const sizeBytes = registers.get('SIZE');
    if (registers.get('STATUS.BUSY')) return this.#fail(address, SYNC_ERRORS.BUSY);
    if (sizeBytes === 0) return this.#fail(address, SYNC_ERRORS.BAD_SIZE);
    try {
      const completion = coherence[how](Number(address), sizeBytes);
      if (!completion.isDone) this.#wait(completion, address);
    } catch (error) {
      this.#fail(address, codeOf(error));
    }
  }

  #wait(completion: Completion, address: bigint): void {
    const { registers } = this;
    const resets = this.#resets;
    registers.set('STATUS.BUSY', 1);
    const done = (): boolean => {
      if (resets !== this.#resets) return false;
      registers.set('STATUS.BUSY', 0);
      return true;
    };
    completion.onSettled(done, (error) => {
      if (done()) this.#fail(address, codeOf(error));
    });
  }

  #fail(address: bigint, code: number): void {
    const { registers } = this;
    if (registers.get('STATUS.ERROR') === 1) return;
    registers.set('STATUS.ERROR', 1);
    registers.set('STATUS.ERROR_CODE', code);
    registers.set('ERROR_ADDRESS', address);
  }
}

function codeOf(error: unknown): number {
  if (!(error instanceof DmaError)) throw error;
  return error.reason === 'view-full' ? SYNC_ERRORS.VIEW_FULL : SYNC_ERRORS.BAD_ADDRESS;
}
