// SPDX-License-Identifier: GPL-2.0
/*
 * Tells how this kernel describes its memory, for a host that has the guest's memory mapped and
 * wants to know what a page is used for (qemu/rig/page-layout.ts): read the module's parameter
 * `memory`. Lines of names and numbers:
 *
 * - offsets in struct page, and its size;
 * - where physical address 0 is in the kernel's direct map, where the struct page of page 0 is, and
 *   what flags the first page of several that are one has;
 * - what page_type and flags of a page are that is free, a page table, or of the slab allocator;
 * - for each run of pages whose struct pages are contiguous in physical memory: first page, number,
 * physical address.
 */
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "ghostcard.h"

struct gc_run {
	unsigned long first, count;
	phys_addr_t at;
};

struct gc_text {
	char *buffer;
	int length;
	struct gc_run run;
};

#define GC_LONGEST_LINE 64

/* What there is no room for is not told: the host then knows nothing of those pages. */
static void gc_end_run(struct gc_text *text)
{
	if (text->run.count != 0 && text->length + GC_LONGEST_LINE < PAGE_SIZE)
		text->length += scnprintf(text->buffer + text->length, GC_LONGEST_LINE,
					  "pages 0x%lx 0x%lx %pa\n", text->run.first,
					  text->run.count, &text->run.at);
	text->run.count = 0;
}

/* The struct pages of a range of RAM, by pages of theirs. */
static int gc_add_range(struct resource *range, void *context)
{
	unsigned long pfn = PFN_UP(range->start);
	const unsigned long end = PFN_DOWN(range->end + 1);
	struct gc_text *text = context;
	struct gc_run *run = &text->run;

	while (pfn < end) {
		const struct page *page = pfn_to_page(pfn);
		phys_addr_t at = page_to_phys(vmalloc_to_page(page)) + offset_in_page(page);
		unsigned long here = min_t(unsigned long, end - pfn,
					   (PAGE_SIZE - offset_in_page(page)) / sizeof(*page));

		if (run->count == 0 || run->first + run->count != pfn ||
		    run->at + run->count * sizeof(*page) != at) {
			gc_end_run(text);
			*run = (struct gc_run){pfn, 0, at};
		}
		run->count += here;
		pfn += here;
		cond_resched();
	}
	return 0;
}

/* A struct page as a page has it that is none of anyone's. */
static void gc_clear(struct page *page)
{
	memset(page, 0, sizeof(*page));
	page->page_type = -1;
}

static int gc_memory_get(char *buffer, const struct kernel_param *param)
{
	struct gc_text text = {.buffer = buffer};
	struct page *page;

	BUILD_BUG_ON(PAGE_SIZE % sizeof(*page) != 0);
	page = kzalloc(sizeof(*page), GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	text.length = scnprintf(buffer, PAGE_SIZE,
				"size %zu flags %zu compound_head %zu lru %zu private %zu "
				"page_type %zu refcount %zu mapping %zu mapcount %zu\n"
				"page_zero 0x%lx direct_map 0x%lx head_flags 0x%lx\n",
				sizeof(*page), offsetof(struct page, flags),
				offsetof(struct page, compound_head), offsetof(struct page, lru),
				offsetof(struct page, private), offsetof(struct page, page_type),
				offsetof(struct page, _refcount), offsetof(struct page, mapping),
				offsetof(struct page, _mapcount), (unsigned long)pfn_to_page(0),
				(unsigned long)__va(0), 1ul << PG_head);
	gc_clear(page);
	__SetPageBuddy(page);
	text.length += scnprintf(buffer + text.length, GC_LONGEST_LINE, "free_type 0x%x\n",
				 page->page_type);
	gc_clear(page);
	__SetPageTable(page);
	text.length += scnprintf(buffer + text.length, GC_LONGEST_LINE, "table_type 0x%x\n",
				 page->page_type);
	gc_clear(page);
	__folio_set_slab(page_folio(page));
	text.length += scnprintf(buffer + text.length, GC_LONGEST_LINE,
				 "slab_type 0x%x slab_flags 0x%lx\n", page->page_type, page->flags);
	kfree(page);
	walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM, 0, PHYS_ADDR_MAX, &text,
			    gc_add_range);
	gc_end_run(&text);
	return text.length;
}

static const struct kernel_param_ops gc_memory_ops = {
	.get = gc_memory_get,
};
module_param_cb(memory, &gc_memory_ops, NULL, 0400);
MODULE_PARM_DESC(memory, "how this kernel describes its memory (read only)");
