/**
 * The runs of each bug: all ways that ghostcard has to make a bug show. A new one (a detector, another layout of memory,
 * chosen schedules) is a row here.
 */
import { type ReferenceCardOptions } from '../../emulator/cards/reference';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { type RigOptions } from '../../qemu/rig';
import { type Bug, type BugKind, type DriverName } from './bug';

export interface Run {
  readonly name: string;
  /** For the document. */
  readonly what: string;
  readonly drivers: readonly DriverName[];
  /** Runs with the same machine share a guest. */
  readonly machine?: Pick<RigOptions, 'iommu' | 'kernelAppend' | 'checkDma' | 'memoryLayout'>;
  /** The kinds of bugs that it may show; default: all. */
  readonly kinds?: readonly BugKind[];
  readonly card?: ReferenceCardOptions;
  /** Whether UIO can do it; default true. */
  readonly underUio?: boolean;
  /** The faults that a bug asks for; undefined: it asks for none, and has no such run. Default: a run without faults. */
  readonly faults?: (bug: Bug) => readonly FaultDeclaration[] | undefined;
}

/** Slower than the driver: a message takes two milliseconds, a copy of 4 MiB 20 ms. */
const slowLink = { bytesPerSecond: 200e6, completionLatencyNs: 2_000_000 };

export const RUNS: readonly Run[] = [
  {
    name: 'plain',
    what: 'the reference card as it is: its DMA takes no device time',
    drivers: ['user', 'module'],
  },
  {
    name: 'slow card',
    what: 'a card with a link of 200 MB/s and a latency of 2 ms: the driver is faster than the card',
    drivers: ['user', 'module'],
    card: { link: slowLink },
  },
  {
    name: 'not coherent',
    what: 'a card that sees memory as its driver has last synchronised it ([coherence](coherence.md)); not for the kernel module, since the kernel takes the card for coherent',
    drivers: ['user'],
    card: { coherent: false },
  },
  {
    name: 'IOMMU',
    what: 'the slow card behind an IOMMU, which refuses what is not mapped',
    drivers: ['user', 'module'],
    machine: { iommu: true },
    card: { link: slowLink },
    underUio: false,
  },
  {
    name: 'bounce buffers',
    what: 'a kernel that copies all DMA through memory of its own (`swiotlb=force`), for the kernel module: what is mapped the wrong way, or not synchronised, is not copied',
    drivers: ['module'],
    machine: { kernelAppend: 'swiotlb=force' },
  },
  {
    name: 'slab debugging',
    what: 'the slow card, and a kernel that checks freed memory (`slub_debug=FZPU`), for the kernel module',
    drivers: ['module'],
    machine: { kernelAppend: 'slub_debug=FZPU' },
    card: { link: slowLink },
  },
  {
    name: 'fault',
    what: 'the plain card with the injected fault that the bug needs, where it needs one',
    drivers: ['user', 'module'],
    faults: (bug) => bug.fault?.declarations,
  },
  {
    name: 'DMA check, fault',
    what: 'the plain card with that fault, and DMA races looked for',
    drivers: ['user', 'module'],
    machine: { checkDma: true },
    faults: (bug) => bug.fault?.declarations,
  },
  {
    name: 'DMA check',
    what: 'the plain card, and DMA races looked for ([--check dma](dma-races.md))',
    drivers: ['user', 'module'],
    machine: { checkDma: true },
  },
  {
    name: 'DMA check, slow card',
    what: 'the slow card, and DMA races looked for',
    drivers: ['user', 'module'],
    machine: { checkDma: true },
    card: { link: slowLink },
  },
  {
    name: 'high memory',
    what: 'the plain card, and memory for DMA above 4 GiB (`--memory-layout high`)',
    drivers: ['user', 'module'],
    kinds: ['address'],
    machine: { memoryLayout: 'high' },
  },
  {
    name: 'fragmented memory',
    what: 'the plain card, and memory whose pages are not contiguous by luck (`--memory-layout fragmented`)',
    drivers: ['user', 'module'],
    kinds: ['address'],
    machine: { memoryLayout: 'fragmented' },
  },
];
