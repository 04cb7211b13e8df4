/**
 * Where the guest's memory lies. A small guest that has just been started has all of it below 4 GiB, and hands out adjacent
 * pages one after the other: an address that a driver truncates still works, and so does a buffer that is contiguous by
 * luck. The other layouts do not flatter.
 */
import { type GuestChannel } from '../channel';
import { GUEST_PATHS } from '../guest-image';

/**
 * 'flat': as the machine has it. 'high': drivers get memory above 4 GiB, until little of it is left. 'fragmented': what the
 * kernel does not allocate as one is not adjacent.
 */
export type MemoryLayout = 'flat' | 'high' | 'fragmented';
export const MEMORY_LAYOUTS = ['flat', 'high', 'fragmented'] as const satisfies readonly MemoryLayout[];

/** What the guest's kernel, its initramfs and its bounce buffers need at least, below 4 GiB. */
const LOW_MIB = 192;
/** Memory is plugged into an arm64 guest in blocks of this size (Linux, memory-hotplug.rst; arm64: SECTION_SIZE_BITS). */
export const MEMORY_BLOCK_MIB = 128;

/** How much of a guest's memory lies above 4 GiB. */
export function highMiB(layout: MemoryLayout, memoryMiB: number): number {
  if (!MEMORY_LAYOUTS.includes(layout)) {
    throw new RangeError(`There is no memory layout '${String(layout)}'; there are ${MEMORY_LAYOUTS.join(', ')}.`);
  }
  if (layout !== 'high') return 0;
  if (memoryMiB >= LOW_MIB + MEMORY_BLOCK_MIB)
    return Math.floor((memoryMiB - LOW_MIB) / MEMORY_BLOCK_MIB) * MEMORY_BLOCK_MIB;
  throw new RangeError(
    `Cannot put memory of a guest of ${memoryMiB} MiB above 4 GiB: ${LOW_MIB} MiB must lie below, and ${MEMORY_BLOCK_MIB} MiB is ` +
      `the least above. Give it ${LOW_MIB + MEMORY_BLOCK_MIB} MiB or more.`,
  );
}

const TIMEOUT_MS = 30_000;

/** For the layout 'fragmented': fragments what is free in the guest now. A restored guest is as it was when it was saved. */
export async function fragmentMemory(channel: GuestChannel): Promise<void> {
  const { exitCode, signal, stderr } = await channel.exec([GUEST_PATHS.fragment], { timeoutMs: TIMEOUT_MS });
  if (exitCode === 0) return;
  const how = signal ?? (exitCode === undefined ? `a timeout of ${TIMEOUT_MS} ms` : `exit code ${exitCode}`);
  throw new Error(`The guest's memory could not be fragmented (${how}): ${stderr.toString().trim()}`);
}
