// SPDX-License-Identifier: GPL-2.0
/*
 * Tells an observer of the processors of memory that is given back: pages that
 * are free now, and buffers that a driver unmaps. The observer looks at calls of
 * gc_gives_back(), whose address is the parameter `release_entry`; they are made
 * while the parameter `tell_releases` is 1.
 */
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/tracepoint.h>

#include "ghostcard.h"

/*
 * is_task: what runs is the process that gives the memory back. stack: from here on are the
 * addresses that its functions return to; NULL: from the top of the stack on.
 */
static noinline notrace void gc_gives_back(phys_addr_t address, size_t bytes, bool is_task,
					   const void *stack)
{
	asm volatile("" : : "r"(address), "r"(bytes), "r"(is_task), "r"(stack) : "memory");
}

static unsigned long release_entry = (unsigned long)gc_gives_back;
module_param(release_entry, ulong, 0444);

/* Argument of the tracepoint mm_page_free. */
static void gc_page_freed(void *unused, struct page *page, unsigned int order)
{
	gc_gives_back(page_to_phys(page), PAGE_SIZE << order, in_task(), NULL);
}

static struct tracepoint *gc_page_free;

static void gc_find_tracepoint(struct tracepoint *each, void *unused)
{
	if (strcmp(each->name, "mm_page_free") == 0)
		gc_page_free = each;
}

/* A buffer that a driver unmaps is given back by it, also where no IOMMU enforces that. */
static void gc_unmapped(struct device *dev, dma_addr_t address, size_t bytes, const void *stack)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	if (!domain || domain->type == IOMMU_DOMAIN_IDENTITY) {
		gc_gives_back(address, bytes, in_task(), stack);
		return;
	}
	while (bytes > 0) {
		size_t here = min_t(size_t, bytes, PAGE_SIZE - offset_in_page(address));

		gc_gives_back(iommu_iova_to_phys(domain, address), here, in_task(), stack);
		address += here;
		bytes -= here;
	}
}

#ifdef CONFIG_KPROBES
/* Of a function that is about to begin, below what the probe itself has put there. */
static const void *gc_stack_of(struct pt_regs *regs)
{
#ifdef CONFIG_ARM64
	return regs; /* where the function returns to is in one of the registers */
#else
	return (const void *)kernel_stack_pointer(regs);
#endif
}

/* Huge pages go to a pool of their own. */
static int gc_huge_page_freed(struct kprobe *probe, struct pt_regs *regs)
{
	struct page *page = (struct page *)regs_get_kernel_argument(regs, 0);

	gc_gives_back(page_to_phys(page), PAGE_SIZE << compound_order(page), in_task(),
		      gc_stack_of(regs));
	return 0;
}

static int gc_buffer_unmapped(struct kprobe *probe, struct pt_regs *regs)
{
	gc_unmapped((struct device *)regs_get_kernel_argument(regs, 0),
		    regs_get_kernel_argument(regs, 1), regs_get_kernel_argument(regs, 2),
		    gc_stack_of(regs));
	return 0;
}

static int gc_coherent_freed(struct kprobe *probe, struct pt_regs *regs)
{
	gc_unmapped((struct device *)regs_get_kernel_argument(regs, 0),
		    regs_get_kernel_argument(regs, 3), regs_get_kernel_argument(regs, 1),
		    gc_stack_of(regs));
	return 0;
}

static int gc_list_unmapped(struct kprobe *probe, struct pt_regs *regs)
{
	struct device *dev = (struct device *)regs_get_kernel_argument(regs, 0);
	struct scatterlist *list = (struct scatterlist *)regs_get_kernel_argument(regs, 1), *each;
	int i;

	for_each_sg(list, each, regs_get_kernel_argument(regs, 2), i)
	{
		if (sg_dma_len(each) == 0)
			break;
		gc_unmapped(dev, sg_dma_address(each), sg_dma_len(each), gc_stack_of(regs));
	}
	return 0;
}

/* By their names in one kernel or another. */
static struct kprobe gc_probes[] = {
	{.symbol_name = "free_huge_page", .pre_handler = gc_huge_page_freed},
	{.symbol_name = "free_huge_folio", .pre_handler = gc_huge_page_freed},
	{.symbol_name = "dma_unmap_page_attrs", .pre_handler = gc_buffer_unmapped},
	{.symbol_name = "dma_unmap_phys", .pre_handler = gc_buffer_unmapped},
	{.symbol_name = "dma_free_attrs", .pre_handler = gc_coherent_freed},
	{.symbol_name = "dma_unmap_sg_attrs", .pre_handler = gc_list_unmapped},
};
static bool gc_is_probing[ARRAY_SIZE(gc_probes)];

static void gc_probe_all(bool wanted)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gc_probes); i++) {
		if (wanted)
			gc_is_probing[i] = register_kprobe(&gc_probes[i]) == 0;
		else if (gc_is_probing[i]) {
			unregister_kprobe(&gc_probes[i]);
			gc_probes[i].addr = NULL; /* else it is not looked up again */
		}
	}
}
#else
static void gc_probe_all(bool wanted)
{
}
#endif

static bool gc_tells;

static int gc_tell(bool wanted)
{
	int error = 0;

	if (wanted == gc_tells)
		return 0;
	if (!gc_page_free)
		for_each_kernel_tracepoint(gc_find_tracepoint, NULL);
	if (!gc_page_free)
		return -EOPNOTSUPP;
	if (wanted)
		error = tracepoint_probe_register(gc_page_free, gc_page_freed, NULL);
	else
		tracepoint_probe_unregister(gc_page_free, gc_page_freed, NULL);
	if (error)
		return error;
	gc_probe_all(wanted);
	gc_tells = wanted;
	return 0;
}

static int gc_tell_set(const char *text, const struct kernel_param *param)
{
	bool wanted;
	int error = kstrtobool(text, &wanted);

	return error ? error : gc_tell(wanted);
}
static const struct kernel_param_ops gc_tell_ops = {
	.set = gc_tell_set,
	.get = param_get_bool,
};
module_param_cb(tell_releases, &gc_tell_ops, &gc_tells, 0600);
MODULE_PARM_DESC(tell_releases, "call gc_gives_back() for memory that is given back");

void gc_release_exit(void)
{
	gc_tell(false);
	tracepoint_synchronize_unregister();
}
