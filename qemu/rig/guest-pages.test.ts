import { describe, expect, it } from 'vitest';
import { AddressMap } from '../../emulator/memory';
import { GuestPages, type PageProcesses } from './guest-pages';
import { parsePageLayout } from './page-layout';

/** As Linux 6.1 and Linux 6.12 say it, with the descriptors of 4096 pages at 1 MiB. */
const SAID = `size 64 flags 0 compound_head 8 lru 8 private 40 page_type 48 refcount 52 mapping 24 mapcount 48
page_zero 0xffffea0000000000 direct_map 0xffff888000000000 head_flags 0x10000
free_type 0xffffff7f
table_type 0xfffffbff
slab_type 0xffffffff slab_flags 0x200
pages 0x1 0x7ff 0x0000000000100040
pages 0x800 0x800 0x0000000000120000
`;
const SAID_6_12 = SAID.replace('0xffffff7f', '0xf0000000')
  .replace('0xfffffbff', '0xf2000000')
  .replace('0xffffffff slab_flags 0x200', '0xf5000000 slab_flags 0x0');
const MAP = `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-1ffdffff : System RAM
  00400000-004fffff : Kernel code
  00500000-0057ffff : Kernel rodata
  00600000-006fffff : Kernel data
  00700000-007fffff : reserved
`;
const PAGE = 4096;
const DESCRIPTORS = 0x10_0000;
const PAGE_ZERO = 0xffff_ea00_0000_0000n;
const DIRECT_MAP = 0xffff_8880_0000_0000n;

/** The process that has written to all pages last; 71 drives the card. */
const OWNER = { ownerOf: () => 72, isOther: () => true };
const DRIVER = { ownerOf: () => 71, isOther: () => false };

function setUp({ said = SAID, isForProgram = true, processes = DRIVER as PageProcesses | null } = {}) {
  const bytes = new Uint8Array(0x20_0000);
  const view = new DataView(bytes.buffer);
  const map = new AddressMap();
  const sizeBytes = BigInt(bytes.length);
  map.add({ iova: 0n, sizeBytes, readable: true, writable: true, backing: { kind: 'bytes', bytes } });
  const layout = parsePageLayout(said, MAP)!;
  const pages = new GuestPages(
    layout,
    { mappedAt: (address) => map.find(address) },
    () => isForProgram,
    processes ?? undefined,
  );
  const at = (page: number): number => DESCRIPTORS + page * 64;
  const lruOf = (page: number): bigint => PAGE_ZERO + BigInt(page * 64 + 8);
  const set = (
    page: number,
    { refcount = 1, type = 0xffff_ffff, flags = 0, head = 0n, order = 0, mapping = 0n } = {},
  ): void => {
    view.setUint32(at(page), flags, true);
    view.setBigUint64(at(page) + 8, head, true);
    view.setBigUint64(at(page) + 24, mapping, true);
    view.setUint32(at(page) + 40, order, true);
    view.setUint32(at(page) + 48, type, true);
    view.setInt32(at(page) + 52, refcount, true);
  };
  const link = (page: number, next: bigint, previous: bigint): void => {
    view.setBigUint64(at(page) + 8, next, true);
    view.setBigUint64(at(page) + 16, previous, true);
  };
  const useOf = (page: number) => pages.useOf(page * PAGE + 8);
  const processOf = (page: number) => pages.processOf(page * PAGE);
  return { view, set, link, lruOf, useOf, processOf, layout };
}

const FREE = 0xffff_ff7f;

describe('what a page of the guest is used for', () => {
  it('is nothing that forbids DMA while something refers to it, on its own or as a part of a compound page', () => {
    const { set, useOf } = setUp();
    set(0x900);
    set(0x901, { refcount: 0, head: PAGE_ZERO + BigInt(0x900 * 64) + 1n });
    expect([useOf(0x900), useOf(0x901)]).toEqual([undefined, undefined]);
  });

  it('is free in a block of the buddy allocator, from its first page to its last', () => {
    const { set, useOf } = setUp();
    set(0x900, { refcount: 0, type: FREE, order: 2 });
    for (const page of [0x901, 0x902, 0x903, 0x904]) set(page, { refcount: 0 });
    expect([0x900, 0x901, 0x903, 0x904].map(useOf)).toEqual(['free', 'free', 'free', undefined]);
  });

  it('is free in the pool of huge pages', () => {
    const { set, useOf } = setUp();
    set(0xa00, { refcount: 0 });
    set(0xbff, { refcount: 0, head: PAGE_ZERO + BigInt(0xa00 * 64) + 1n });
    expect(useOf(0xbff)).toBe('free');
  });

  it('is free in a list of pages that were freed a moment ago, and unknown outside of one', () => {
    const { set, link, lruOf, useOf, view } = setUp();
    for (const page of [0x900, 0x901, 0x902, 0x903]) set(page, { refcount: 0 });
    link(0x900, lruOf(0x901), DIRECT_MAP + 0x1000n);
    link(0x901, DIRECT_MAP + 0x1000n, lruOf(0x900));
    view.setBigUint64(0x1008, lruOf(0x901), true);
    link(0x902, lruOf(0x902), lruOf(0x902));
    link(0x903, 0xdead_0000_0000_0100n, 0xdead_0000_0000_0122n);
    expect([0x900, 0x901, 0x902, 0x903].map(useOf)).toEqual(['free', 'free', undefined, undefined]);
  });

  it.each([
    ['Linux 6.1', SAID, { table: { type: 0xffff_fbff }, slab: { flags: 0x200 } }],
    ['Linux 6.12', SAID_6_12, { table: { type: 0xf200_0000 }, slab: { type: 0xf500_0000 } }],
  ])('is a page table, or of the slab allocator, in %s', (_, said, { table, slab }) => {
    const { set, useOf } = setUp({ said });
    set(0x10, table);
    set(0x11, slab);
    expect([useOf(0x10), useOf(0x11)]).toEqual(['page table', 'slab']);
  });

  it('is not said to be slab to a driver in the kernel, which may use it', () => {
    const { set, useOf } = setUp({ isForProgram: false });
    set(0x11, { flags: 0x200 });
    expect(useOf(0x11)).toBeUndefined();
  });

  const FILE = 0xffff_8880_0123_4560n;
  const ANONYMOUS = FILE + 1n;

  it('is the page cache while nobody has mapped it, for a driver that is a program', () => {
    const { set, useOf } = setUp();
    set(0x900, { mapping: FILE });
    set(0x901, { mapping: FILE, type: 0 });
    set(0x902, { mapping: FILE, flags: 0x1_0000 });
    expect([0x900, 0x901, 0x902].map(useOf)).toEqual(['page cache', undefined, undefined]);
    const inKernel = setUp({ isForProgram: false });
    inKernel.set(0x900, { mapping: FILE });
    expect(inKernel.useOf(0x900)).toBeUndefined();
  });

  it.each([
    ['of another process, which alone has it', OWNER, 0, 'another process'],
    ['of another process, which shares it', OWNER, 1, undefined],
    ["the driver's own", DRIVER, 0, undefined],
    ['of nobody that is known', null, 0, undefined],
  ])('is anonymous memory: %s', (_, processes, type, use) => {
    const { set, useOf, processOf } = setUp({ processes });
    set(0x900, { mapping: ANONYMOUS, type });
    expect(useOf(0x900)).toBe(use);
    expect(processOf(0x900)).toBe(processes?.ownerOf());
  });

  it('is the code and the constants of the kernel, or of the firmware, as the map of memory says', () => {
    const { useOf } = setUp();
    expect([0, 0x400, 0x500, 0x57f].map(useOf)).toEqual([
      'firmware',
      'kernel code',
      'kernel constants',
      'kernel constants',
    ]);
  });

  it('is unknown where the kernel has said nothing, or its descriptor is out of reach', () => {
    const { useOf } = setUp({ said: SAID.replace('0x0000000000120000', '0x0000000040000000') });
    expect([useOf(0x900), useOf(0x2000)]).toEqual([undefined, undefined]);
  });

  it('is unknown in a guest whose module says nothing', () => {
    expect(parsePageLayout('', MAP)).toBeUndefined();
  });
});
