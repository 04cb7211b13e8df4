/**
 * What a fuzzed client does, as plain data: it can be shrunk, kept in a file, and done again.
 */

/** What a client passes as a descriptor. Only the first two are of any use to a server. */
export const DESCRIPTORS = [
  'memory',
  'eventfd',
  'sparse memory',
  'read-only file',
  'file that shrinks',
  'timerfd',
  'socket',
  'device',
  'folder',
] as const;
export type DescriptorName = (typeof DESCRIPTORS)[number];

/** How the client answers the DMA messages of the server. */
export const ANSWERS = ['right', 'refused', 'wrong', 'none'] as const;
export type Answers = (typeof ANSWERS)[number];

export type Step =
  /** Sends bytes; the descriptors go with the first of them. */
  | { readonly do: 'send'; readonly bytes: string; readonly descriptors?: readonly DescriptorName[] }
  /** Until the server has served what it has received; by itself, or in the turns of the event loop. */
  | { readonly do: 'wait'; readonly for: 'the server' | 'the event loop' }
  /** Writes into the memory that it may have passed. */
  | { readonly do: 'poke'; readonly at: number; readonly bytes: string }
  /** Changes the size of 'file that shrinks'. */
  | { readonly do: 'truncate'; readonly sizeBytes: number }
  | { readonly do: 'read'; readonly on: boolean }
  | { readonly do: 'answer'; readonly how: Answers };

export const MEMORY_BYTES = 0x4_0000;
export const SHRINKING_BYTES = 0x1_0000;

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
