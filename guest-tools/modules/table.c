// SPDX-License-Identifier: GPL-2.0
/*
 * The platform table of a card: finds it, copies it out of the card, and checks
 * all of it before anything is created from it. docs/platform-devices.md
 * describes it. For a card with an invalid table, the module logs one line and
 * creates no device.
 */
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/slab.h>

#include "ghostcard.h"

struct gc_place {
	int bar;
	resource_size_t offset;
	/* From the start of the table to the end of the BAR. */
	resource_size_t room;
};

/* The maximum length of a valid table. */
#define GC_MAX_LENGTH (sizeof(struct ghostcard_table) + GHOSTCARD_MAX_BLOCKS * U16_MAX)

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
		gc_bad_table(pdev, "the capability places it in BAR %d, which does not exist",
			     place->bar);
		return -ENODEV;
	}
	if (place->offset + sizeof(struct ghostcard_table) > pci_resource_len(pdev, place->bar)) {
		gc_bad_table(pdev,
			     "the capability places it at offset %pa of BAR %d, beyond its end",
			     &place->offset, place->bar);
		return -ENODEV;
	}
	place->room = pci_resource_len(pdev, place->bar) - place->offset;
	return 0;
}

/* The length in the table's header; 0 if it is invalid. */
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
		gc_bad_table(pdev, "its version is %u.%u, but this module supports %u.x",
			     le16_to_cpu(header->major), le16_to_cpu(header->minor),
			     GHOSTCARD_TABLE_MAJOR);
		return 0;
	}
	if (!count || count > GHOSTCARD_MAX_BLOCKS || size < sizeof(struct ghostcard_block) ||
	    !IS_ALIGNED(size, sizeof(u64)) || length != sizeof(*header) + count * size) {
		gc_bad_table(pdev,
			     "its length of %u bytes does not match %u blocks of %u bytes each",
			     length, count, size);
		return 0;
	}
	if (length > room) {
		gc_bad_table(pdev, "its length is %u bytes, but its BAR ends after %pa", length,
			     &room);
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
	gc_bad_table(pdev, "its CRC-32 is %#010x, but that of its %u bytes is %#010x", stored,
		     length, found);
	return false;
}

/* Maps up to `limit` bytes of the card's table. Errors are logged. */
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
	dev_err(&pdev->dev, "cannot map BAR %d, which has the table of platform devices\n",
		place->bar);
	return IOMEM_ERR_PTR(-ENOMEM);
}

void __iomem *gc_table_map(struct pci_dev *pdev)
{
	struct gc_place place;

	return gc_table_map_at(pdev, &place, sizeof(struct ghostcard_table));
}

/*
 * A checked copy of the card's table, for the caller to free. Errors are
 * logged.
 */
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
	/* The card might have changed the table meanwhile, so check the copy. */
	if (gc_table_length(pdev, table, length) == length &&
	    gc_table_crc_is_good(pdev, table, length) && gc_blocks_are_good(pdev, table))
		return table;
	kfree(table);
	return ERR_PTR(-ENODEV);
}
