/**
 * How the guest's kernel describes its memory: what its module `ghostcard` says (guest-tools/modules/memory.c), and its
 * map of physical memory.
 */
import { type PageUse } from '../../instrumentation/checks';
import { type Guest } from '../launch';

const LAYOUT = '/sys/module/ghostcard/parameters/memory';
const MAP = '/proc/iomem';

/** Pages whose descriptors (struct page) are contiguous in physical memory, from address `at` on. */
export interface PageRun {
  readonly first: number;
  readonly count: number;
  readonly at: number;
}

export interface PageLayout {
  /** Offsets in a page's descriptor, its size, and marks in it. Kernel addresses are bigints. */
  readonly size: number;
  readonly flags: number;
  readonly compoundHead: number;
  readonly lru: number;
  readonly order: number;
  readonly type: number;
  readonly refcount: number;
  readonly mapping: number;
  readonly mapcount: number;
  readonly headFlag: number;
  readonly pageZero: bigint;
  readonly directMap: bigint;
  readonly freeType: number;
  readonly tableType: number;
  /** Slab pages have one of the two; the one that they do not have is 0. */
  readonly slabType: number;
  readonly slabFlag: number;
  readonly runs: readonly PageRun[];
  readonly ranges: readonly { readonly start: number; readonly end: number; readonly use: PageUse }[];
}

/** Undefined where the guest does not say it: its kernel has another module, or none. */
export async function readPageLayout(guest: Guest): Promise<PageLayout | undefined> {
  const { channel } = guest;
  try {
    const [layout, map] = await Promise.all([channel.fetch(LAYOUT), channel.fetch(MAP)]);
    return parsePageLayout(layout.toString(), map.toString());
  } catch {
    return undefined; // a guest that has died says so elsewhere
  }
}

const NO_TYPE = 0xffff_ffff;

export function parsePageLayout(layout: string, map: string): PageLayout | undefined {
  const [runs, facts] = [/^pages (\S+) (\S+) (\S+)$/gm, /^(?!pages )(.*)$/gm].map((pattern) => [
    ...layout.matchAll(pattern),
  ]);
  const words = facts!.flatMap(([, line]) => line!.split(' '));
  const value = (name: string): bigint => BigInt(words[words.indexOf(name) + 1] ?? 0);
  const number = (name: string): number => Number(value(name));
  if (number('size') === 0) return undefined;
  const slabType = number('slab_type');
  return {
    size: number('size'),
    flags: number('flags'),
    compoundHead: number('compound_head'),
    lru: number('lru'),
    order: number('private'),
    type: number('page_type'),
    refcount: number('refcount'),
    mapping: number('mapping'),
    mapcount: number('mapcount'),
    headFlag: number('head_flags'),
    pageZero: value('page_zero'),
    directMap: value('direct_map'),
    freeType: number('free_type'),
    tableType: number('table_type'),
    slabType: slabType === NO_TYPE ? 0 : slabType,
    slabFlag: number('slab_flags'),
    runs: runs!.map(([, first, count, at]) => ({ first: Number(first), count: Number(count), at: Number(at) })),
    ranges: rangesOf(map),
  };
}

/** By their names; an arm64 kernel has its constants among the code. What firmware keeps is not within another range. */
const RANGES: readonly [name: RegExp, use: PageUse][] = [
  [/^ +Kernel code$/, 'kernel code'],
  [/^ +Kernel rodata$/, 'kernel constants'],
  [/^Reserved$/, 'firmware'],
];

function rangesOf(map: string): PageLayout['ranges'] {
  return [...map.matchAll(/^( *)(\w+)-(\w+) : (.*)$/gm)].flatMap(([, indent, start, end, name]) => {
    const [, use] = RANGES.find(([pattern]) => pattern.test(`${indent}${name}`)) ?? [];
    return use === undefined ? [] : [{ start: parseInt(start!, 16), end: parseInt(end!, 16) + 1, use }];
  });
}
