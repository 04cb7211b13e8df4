// SPDX-License-Identifier: GPL-2.0
/*
 * One block as a device: which block a device belongs to, and the sysfs
 * attributes that it has in addition to those of every platform device.
 */
#include <linux/sysfs.h>
#include <linux/uio_driver.h>
#include <linux/version.h>

#include "ghostcard.h"

/*
 * The block that a device belongs to; NULL for other devices, which lack our
 * attributes.
 */
struct gc_block *gc_block_of(struct device *dev)
{
	struct gc_card *card;
	unsigned int i;

	if (dev->groups != gc_block_groups)
		return NULL;
	card = dev_get_drvdata(dev->parent);
	for (i = 0; card && i < card->block_count; i++)
		if (card->blocks[i].pdev && &card->blocks[i].pdev->dev == dev)
			return &card->blocks[i];
	return NULL;
}

/*
 * vfio-platform does not show the names of its regions: one name per line, in
 * order of the index.
 */
static ssize_t reg_names_show(struct device *dev, struct device_attribute *attr, char *buffer)
{
	struct gc_block *block = gc_block_of(dev);
	int at = 0;
	u32 i;

	for (i = 0; block && i < le32_to_cpu(block->entry->window_count); i++)
		at += sysfs_emit_at(buffer, at, "%s\n", block->entry->window[i].name);
	return at;
}
static DEVICE_ATTR_RO(reg_names);

/*
 * The device addresses of uio_dmem_genirq's buffers: one per line, all ones if
 * there is no buffer. Until Linux 6.8 the UIO maps show the same; since then
 * they show a kernel address.
 */
static ssize_t dma_addresses_show(struct device *dev, struct device_attribute *attr, char *buffer)
{
	const struct uio_dmem_genirq_pdata *data = dev_get_platdata(dev);
	struct gc_block *block = gc_block_of(dev);
	int at = 0;
	u32 i;

	for (i = 0; block && i < le32_to_cpu(block->entry->buffer_count); i++) {
		u32 map = le32_to_cpu(block->entry->window_count) + i;
		const struct uio_mem *mem = &data->uioinfo.mem[map];
		u64 address = mem->addr;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
		if (mem->memtype == UIO_MEM_DMA_COHERENT && mem->addr != (phys_addr_t)~0)
			address = mem->dma_addr;
#endif
		at += sysfs_emit_at(buffer, at, "0x%llx\n", mem->size ? address : U64_MAX);
	}
	return at;
}
static DEVICE_ATTR_RO(dma_addresses);

static struct attribute *gc_block_attrs[] = {
	&dev_attr_reg_names.attr,
	&dev_attr_dma_addresses.attr,
	NULL,
};
static const struct attribute_group gc_block_group = {
	.attrs = gc_block_attrs,
};
const struct attribute_group *gc_block_groups[] = {
	&gc_block_group,
	NULL,
};
