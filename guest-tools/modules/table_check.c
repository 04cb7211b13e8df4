// SPDX-License-Identifier: GPL-2.0
/*
 * Checks the blocks of a platform table, each by itself and against the others:
 * windows are inside their BARs, and no two blocks share a page, a name or an
 * interrupt.
 */
#include <linux/ctype.h>

#include "ghostcard.h"

const struct ghostcard_block *gc_table_block(const struct ghostcard_table *table,
					     unsigned int index)
{
	return (const void *)(table + 1) + index * le16_to_cpu(table->block_size);
}

/* A terminated text that can be the name of a file in sysfs. */
static bool gc_is_name(const char *text, size_t size)
{
	size_t i, length = strnlen(text, size);

	if (!length || length == size)
		return false;
	for (i = 0; i < length; i++)
		if (!isascii(text[i]) || !isgraph(text[i]) || text[i] == '/')
			return false;
	return true;
}

static bool gc_window_is_good(struct pci_dev *pdev, const struct ghostcard_window *window)
{
	u32 bar = le32_to_cpu(window->bar);
	u64 offset = le64_to_cpu(window->offset);
	u64 size = le64_to_cpu(window->size);

	return gc_is_name(window->name, sizeof(window->name)) && bar < PCI_STD_NUM_BARS &&
	       pci_resource_flags(pdev, bar) & IORESOURCE_MEM && size &&
	       IS_ALIGNED(offset, PAGE_SIZE) && IS_ALIGNED(size, PAGE_SIZE) &&
	       offset < pci_resource_len(pdev, bar) && size <= pci_resource_len(pdev, bar) - offset;
}

static bool gc_reset_is_good(const struct ghostcard_block *block)
{
	u32 window = le32_to_cpu(block->reset_window);
	u32 offset = le32_to_cpu(block->reset_offset);

	if (window == GHOSTCARD_NO_RESET)
		return true;
	/* The kernel takes a limit of 0 for no limit. */
	return window < le32_to_cpu(block->window_count) && IS_ALIGNED(offset, 4) &&
	       offset <= le64_to_cpu(block->window[window].size) - 4 && block->reset_limit_us &&
	       le32_to_cpu(block->reset_limit_us) <= GHOSTCARD_MAX_RESET_US;
}

static bool gc_interrupt_is_good(struct pci_dev *pdev, const struct ghostcard_block *block)
{
	switch (le32_to_cpu(block->interrupt)) {
	case GHOSTCARD_INTERRUPT_NONE:
	case GHOSTCARD_INTERRUPT_INTX:
		return true;
	case GHOSTCARD_INTERRUPT_MSIX:
		return le32_to_cpu(block->msix_vector) < max(pci_msix_vec_count(pdev), 0);
	default:
		return false;
	}
}

/* What is wrong with a block, or NULL. */
static const char *gc_block_error(struct pci_dev *pdev, const struct ghostcard_block *block)
{
	u32 windows = le32_to_cpu(block->window_count);
	u32 buffers = le32_to_cpu(block->buffer_count);
	u32 bits = le32_to_cpu(block->dma_mask_bits);
	u32 i;

	if (!gc_is_name(block->name, sizeof(block->name)))
		return "its name";
	if (!gc_is_name(block->compatible, sizeof(block->compatible)))
		return "its compatible string";
	if (!bits || bits > 64)
		return "its DMA mask";
	if (!windows || windows > GHOSTCARD_MAX_MAPS || buffers > GHOSTCARD_MAX_MAPS - windows)
		return "its number of windows and buffers";
	for (i = 0; i < windows; i++)
		if (!gc_window_is_good(pdev, &block->window[i]))
			return "one of its windows";
	for (i = 0; i < buffers; i++) {
		u64 size = le64_to_cpu(block->buffer[i].size);

		if (!gc_is_name(block->buffer[i].name, sizeof(block->buffer[i].name)) || !size ||
		    !IS_ALIGNED(size, PAGE_SIZE) || size > U32_MAX)
			return "one of its buffers";
	}
	if (!gc_reset_is_good(block))
		return "its reset";
	if (!gc_interrupt_is_good(pdev, block))
		return "its interrupt";
	return NULL;
}

static bool gc_windows_overlap(const struct ghostcard_window *one,
			       const struct ghostcard_window *other)
{
	u64 begin = le64_to_cpu(one->offset), other_begin = le64_to_cpu(other->offset);

	return one->bar == other->bar && begin < other_begin + le64_to_cpu(other->size) &&
	       other_begin < begin + le64_to_cpu(one->size);
}

static bool gc_share_page(const struct ghostcard_block *one, const struct ghostcard_block *other)
{
	u32 i, j;

	for (i = 0; i < le32_to_cpu(one->window_count); i++)
		for (j = one == other ? i + 1 : 0; j < le32_to_cpu(other->window_count); j++)
			if (gc_windows_overlap(&one->window[i], &other->window[j]))
				return true;
	return false;
}

/*
 * What two blocks share although only one can have it, or NULL. For a block and
 * itself: two of its windows.
 */
static const char *gc_block_clash(const struct ghostcard_block *one,
				  const struct ghostcard_block *other)
{
	if (gc_share_page(one, other))
		return "a page of a BAR";
	if (one == other)
		return NULL;
	if (!strcmp(one->name, other->name))
		return "a name";
	if (one->interrupt != other->interrupt)
		return NULL;
	switch (le32_to_cpu(one->interrupt)) {
	case GHOSTCARD_INTERRUPT_INTX:
		return "INTx";
	case GHOSTCARD_INTERRUPT_MSIX:
		return one->msix_vector == other->msix_vector ? "an MSI-X vector" : NULL;
	default:
		return NULL;
	}
}

bool gc_blocks_are_good(struct pci_dev *pdev, const struct ghostcard_table *table)
{
	unsigned int i, j;

	for (i = 0; i < le16_to_cpu(table->block_count); i++) {
		const struct ghostcard_block *block = gc_table_block(table, i);
		const char *error = gc_block_error(pdev, block);

		if (error) {
			gc_bad_table(pdev, "block %u: %s is invalid", i, error);
			return false;
		}
		for (j = 0; j <= i; j++) {
			error = gc_block_clash(gc_table_block(table, j), block);
			if (error) {
				gc_bad_table(pdev, "blocks %u and %u share %s", j, i, error);
				return false;
			}
		}
	}
	return true;
}
