// SPDX-License-Identifier: GPL-2.0
/*
 * Fragments the guest's free memory, so that what a driver gets is contiguous only where the kernel
 * promises it. A guest that has just been started hands out adjacent pages one after the other,
 * which hides drivers that rely on it.
 *
 * Blocks of memory are taken, cut into halves, and every second half is given back: no two of those
 * are adjacent, and since the kernel prefers the smallest block that is large enough, they are what
 * it hands out first. The other halves are kept until the machine ends.
 *
 * Write "KIND ORDER COUNT" to the module's parameter `fragment`: gives COUNT blocks of 2^ORDER
 * pages back, for allocations of the kernel (KIND "kernel") or of programs and huge pages ("user").
 * "release": gives all halves back that were kept for huge pages. Source: Linux
 * Documentation/mm/physical_memory.rst and page_migration.rst (pages by mobility).
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "ghostcard.h"

/* Of huge pages of 2 MiB. */
#define GC_HUGE_ORDER (21 - PAGE_SHIFT)

static DEFINE_MUTEX(gc_fragment_lock);
/* The halves that are kept in between huge pages; those of smaller blocks are kept for good. */
static LIST_HEAD(gc_between_huge_pages);

static void gc_free_half(struct page *half, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1u << order; i++)
		__free_page(half + i);
}

static void gc_release(void)
{
	struct page *half, *next;

	list_for_each_entry_safe(half, next, &gc_between_huge_pages, lru)
	{
		list_del(&half->lru);
		gc_free_half(half, GC_HUGE_ORDER);
	}
}

/*
 * All blocks are taken before any half is given back, and those are given back in another order:
 * the multiplier is odd and the count a power of two.
 */
static int gc_fragment(gfp_t gfp, unsigned int order, unsigned int count)
{
	struct page **blocks = kvcalloc(count, sizeof(*blocks), GFP_KERNEL);
	unsigned int i, taken;

	if (!blocks)
		return -ENOMEM;
	for (taken = 0; taken < count; taken++) {
		blocks[taken] = alloc_pages(gfp | __GFP_NORETRY | __GFP_NOWARN, order + 1);
		if (!blocks[taken])
			break;
		split_page(blocks[taken], order + 1);
	}
	for (i = 0; i < roundup_pow_of_two(count); i++) {
		unsigned int at = (i * 0x9e3779b1u) & (roundup_pow_of_two(count) - 1);

		if (at >= taken)
			continue;
		if (order == GC_HUGE_ORDER)
			list_add(&blocks[at]->lru, &gc_between_huge_pages);
		gc_free_half(blocks[at] + (1u << order), order);
	}
	kvfree(blocks);
	return taken == count ? 0 : -ENOMEM;
}

static int gc_fragment_set(const char *value, const struct kernel_param *param)
{
	unsigned int order, count;
	char kind[8];
	int ret;

	if (sysfs_streq(value, "release")) {
		mutex_lock(&gc_fragment_lock);
		gc_release();
		mutex_unlock(&gc_fragment_lock);
		return 0;
	}
	if (sscanf(value, "%7s %u %u", kind, &order, &count) != 3 || order > GC_HUGE_ORDER ||
	    count == 0 || count > totalram_pages() ||
	    (strcmp(kind, "user") != 0 && strcmp(kind, "kernel") != 0))
		return -EINVAL;
	mutex_lock(&gc_fragment_lock);
	ret = gc_fragment(strcmp(kind, "user") == 0 ? GFP_HIGHUSER_MOVABLE : GFP_KERNEL, order,
			  count);
	mutex_unlock(&gc_fragment_lock);
	return ret;
}

static const struct kernel_param_ops gc_fragment_ops = {
	.set = gc_fragment_set,
};
module_param_cb(fragment, &gc_fragment_ops, NULL, 0200);
MODULE_PARM_DESC(fragment, "fragments free memory: \"KIND ORDER COUNT\", or \"release\"");
