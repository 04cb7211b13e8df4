// SPDX-License-Identifier: GPL-2.0
/*
 * The platform table of a card: found, copied out of the card, and checked to the last byte before
 * anything is made of it. docs/platform-devices.md describes it. A card with a bad table gets one
 * line in the kernel's log, and no device.
 */
#include <linux/crc32.h>
#include <linux/ctype.h>
#include <linux/io.h>
#include <linux/slab.h>

#include "ghostcard.h"

struct gc_place {
	int bar;
	resource_size_t offset;
	/* From the table's beginning to the end of the BAR. */
	resource_size_t room;
};

/* Of any table that is good. */
#define GC_MAX_LENGTH (sizeof(struct ghostcard_table) + GHOSTCARD_MAX_BLOCKS * U16_MAX)

#define gc_bad_table(pdev, fmt, ...)                                                               \
	dev_err(&(pdev)->dev,                                                                      \
		"no platform devices, since the card's table of them is bad: " fmt "\n",           \
		##__VA_ARGS__)

static int gc_table_find(struct pci_dev *pdev, struct gc_place *place)
{
	u8 pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	u32 signature, location;
	u8 length;

	for (; pos; pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR)) {
		pci_read_config_byte(pdev, pos + PCI_CAP_FLAGS, &length);
		pci_read_config_dword(pdev, pos + GHOSTCARD_CAP_SIGNATURE, &signature);
		if (length >= GHOSTCARD_CAP_LENGTH && signature == GHOSTCARD_TABLE_MAGIC)
			break;
	}
	if (!pos) {
		dev_err(&pdev->dev, "the card has no table of platform devices: no vendor-specific "
				    "capability with the signature GCPT\n");
		return -ENODEV;
	}
	pci_read_config_dword(pdev, pos + GHOSTCARD_CAP_LOCATION, &location);
	place->bar = location & GHOSTCARD_CAP_LOCATION_BAR;
	place->offset = location & GHOSTCARD_CAP_LOCATION_OFFSET;
	if (place->bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(pdev, place->bar) & IORESOURCE_MEM)) {
		gc_bad_table(pdev, "it is said to be in BAR %d, which is not there", place->bar);
		return -ENODEV;
	}
	if (place->offset + sizeof(struct ghostcard_table) > pci_resource_len(pdev, place->bar)) {
		gc_bad_table(pdev, "it is said to be at offset %pa of BAR %d, which ends before",
			     &place->offset, place->bar);
		return -ENODEV;
	}
	place->room = pci_resource_len(pdev, place->bar) - place->offset;
	return 0;
}

/* How long the table says it is; 0 if that cannot be. */
static u32 gc_table_length(struct pci_dev *pdev, const struct ghostcard_table *header,
			   resource_size_t room)
{
	u32 length = le32_to_cpu(header->length);
	u32 count = le16_to_cpu(header->block_count);
	u32 size = le16_to_cpu(header->block_size);

	if (le32_to_cpu(header->magic) != GHOSTCARD_TABLE_MAGIC) {
		gc_bad_table(pdev, "it begins with %#x, not with %#x", le32_to_cpu(header->magic),
			     GHOSTCARD_TABLE_MAGIC);
		return 0;
	}
	if (le16_to_cpu(header->major) != GHOSTCARD_TABLE_MAJOR) {
		gc_bad_table(pdev, "its version is %u.%u, this module reads %u.x",
			     le16_to_cpu(header->major), le16_to_cpu(header->minor),
			     GHOSTCARD_TABLE_MAJOR);
		return 0;
	}
	if (!count || count > GHOSTCARD_MAX_BLOCKS || size < sizeof(struct ghostcard_block) ||
	    !IS_ALIGNED(size, sizeof(u64)) || length != sizeof(*header) + count * size) {
		gc_bad_table(pdev, "%u bytes for %u blocks of %u bytes each", length, count, size);
		return 0;
	}
	if (length > room) {
		gc_bad_table(pdev, "its length is %u bytes, its BAR ends after %pa", length, &room);
		return 0;
	}
	return length;
}

static bool gc_table_crc_is_good(struct pci_dev *pdev, struct ghostcard_table *table, u32 length)
{
	u32 stored = le32_to_cpu(table->crc);
	u32 found;

	table->crc = 0;
	found = ~crc32_le(~0, (const u8 *)table, length);
	table->crc = cpu_to_le32(stored);
	if (found == stored)
		return true;
	gc_bad_table(pdev, "its CRC-32 is %#010x, its %u bytes give %#010x", stored, length, found);
	return false;
}

/* Text that ends inside its field, and that may be the name of a file in sysfs. */
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
	/* A limit of 0 would be none to the kernel. */
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
static const char *gc_block_fault(struct pci_dev *pdev, const struct ghostcard_block *block)
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

/* What blocks have in common that only one can have, or NULL; a block with itself: two windows. */
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

static bool gc_blocks_are_good(struct pci_dev *pdev, const struct ghostcard_table *table)
{
	unsigned int i, j;

	for (i = 0; i < le16_to_cpu(table->block_count); i++) {
		const struct ghostcard_block *block = gc_table_block(table, i);
		const char *fault = gc_block_fault(pdev, block);

		if (fault) {
			gc_bad_table(pdev, "block %u: %s cannot be", i, fault);
			return false;
		}
		for (j = 0; j <= i; j++) {
			fault = gc_block_clash(gc_table_block(table, j), block);
			if (fault) {
				gc_bad_table(pdev, "blocks %u and %u share %s", j, i, fault);
				return false;
			}
		}
	}
	return true;
}

const struct ghostcard_block *gc_table_block(const struct ghostcard_table *table,
					     unsigned int index)
{
	return (const void *)(table + 1) + index * le16_to_cpu(table->block_size);
}

/* Where the card's table is, mapped, up to `limit` bytes of it; or an error that has been logged.
 */
static void __iomem *gc_table_map_at(struct pci_dev *pdev, struct gc_place *place,
				     unsigned long limit)
{
	void __iomem *mapping;
	int ret = gc_table_find(pdev, place);

	if (ret)
		return IOMEM_ERR_PTR(ret);
	mapping = pci_iomap_range(pdev, place->bar, place->offset, limit);
	if (mapping)
		return mapping;
	dev_err(&pdev->dev, "BAR %d, where the table of platform devices is, cannot be mapped\n",
		place->bar);
	return IOMEM_ERR_PTR(-ENOMEM);
}

void __iomem *gc_table_map(struct pci_dev *pdev)
{
	struct gc_place place;

	return gc_table_map_at(pdev, &place, sizeof(struct ghostcard_table));
}

/* A copy of the card's table that has been checked, for the caller to free; or an error that has
 * been logged. */
struct ghostcard_table *gc_table_read(struct pci_dev *pdev)
{
	struct ghostcard_table *table = NULL;
	struct ghostcard_table header;
	struct gc_place place;
	void __iomem *mapping;
	u32 length;

	mapping = gc_table_map_at(pdev, &place, GC_MAX_LENGTH);
	if (IS_ERR(mapping))
		return ERR_CAST((__force void *)mapping);
	memcpy_fromio(&header, mapping, sizeof(header));
	length = gc_table_length(pdev, &header, place.room);
	if (length)
		table = kmalloc(length, GFP_KERNEL);
	if (table)
		memcpy_fromio(table, mapping, length);
	pci_iounmap(pdev, mapping);
	if (!length)
		return ERR_PTR(-ENODEV);
	if (!table)
		return ERR_PTR(-ENOMEM);
	/* The card might have changed it meanwhile: what counts is what has been copied. */
	if (gc_table_length(pdev, table, length) == length &&
	    gc_table_crc_is_good(pdev, table, length) && gc_blocks_are_good(pdev, table))
		return table;
	kfree(table);
	return ERR_PTR(-ENODEV);
}
