// SPDX-License-Identifier: GPL-2.0
/*
 * The platform devices. A device has its windows as memory resources inside the
 * function's BARs, its interrupt, its `compatible` as a property, and platform
 * data for both UIO drivers: that of uio_dmem_genirq, which begins with the
 * uio_info that uio_pdrv_genirq uses. These drivers write to the platform data
 * and change the DMA mask, so a device is restored to its initial state before
 * a driver is bound.
 */
#include <linux/dma-mapping.h>
#include <linux/dma-map-ops.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/uio_driver.h>
#include <linux/version.h>

#include "ghostcard.h"

static void gc_block_set_dma(struct gc_block *block, struct device *dev)
{
	unsigned int bits = le32_to_cpu(block->entry->dma_mask_bits);

	dev->coherent_dma_mask = DMA_BIT_MASK(bits);
	*dev->dma_mask = DMA_BIT_MASK(bits);
	/* uio_dmem_genirq sets a 32-bit mask; the bus limit keeps a narrower one. */
	dev->bus_dma_limit = bits < 64 ? DMA_BIT_MASK(bits) : 0;
#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) ||   \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	/* Debian's kernels up to 6.12 have a field, those from 7.2 on a flag. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
	dev_assign_dma_coherent(dev, le32_to_cpu(block->entry->flags) & GHOSTCARD_BLOCK_COHERENT);
#else
	dev->dma_coherent = le32_to_cpu(block->entry->flags) & GHOSTCARD_BLOCK_COHERENT;
#endif
#endif
}

/* Restores the initial state of the device. */
static void gc_block_renew(struct gc_block *block, struct device *dev)
{
	struct uio_dmem_genirq_pdata *data = dev_get_platdata(dev);

	*data = block->platform_data;
	/* uio_dmem_genirq needs an interrupt, or UIO_IRQ_CUSTOM. */
	if (!block->irq && dev->driver && !strcmp(dev->driver->name, "uio_dmem_genirq"))
		data->uioinfo.irq = UIO_IRQ_CUSTOM;
	gc_block_set_dma(block, dev);
}

static int gc_bus_notify(struct notifier_block *notifier, unsigned long event, void *data)
{
	struct gc_block *block;

	if (event != BUS_NOTIFY_BIND_DRIVER)
		return NOTIFY_DONE;
	block = gc_block_of(data);
	if (block)
		gc_block_renew(block, data);
	return NOTIFY_OK;
}

static struct notifier_block gc_bus_notifier = {
	.notifier_call = gc_bus_notify,
};

static int gc_block_add_resources(struct gc_block *block, struct platform_device *pdev)
{
	struct resource resources[GHOSTCARD_MAX_MAPS + 1] = {};
	u32 i, count = le32_to_cpu(block->entry->window_count);

	for (i = 0; i < count; i++) {
		const struct ghostcard_window *window = &block->entry->window[i];
		struct resource *bar = &block->card->pdev->resource[le32_to_cpu(window->bar)];
		resource_size_t start = bar->start + le64_to_cpu(window->offset);

		resources[i] = (struct resource){
			.start = start,
			.end = start + le64_to_cpu(window->size) - 1,
			.name = window->name,
			/* No other flags: the UIO drivers compare the flags for equality. */
			.flags = IORESOURCE_MEM,
			.parent = bar,
		};
	}
	if (block->irq)
		resources[count++] = (struct resource){
			.start = block->irq,
			.end = block->irq,
			.flags = IORESOURCE_IRQ,
		};
	return platform_device_add_resources(pdev, resources, count);
}

static void gc_block_fill_platform_data(struct gc_block *block)
{
	struct uio_dmem_genirq_pdata *data = &block->platform_data;
	u32 i, windows = le32_to_cpu(block->entry->window_count);
	u32 buffers = le32_to_cpu(block->entry->buffer_count);

	data->uioinfo.name = block->entry->name;
	data->uioinfo.version = "ghostcard";
	for (i = 0; i < windows; i++)
		data->uioinfo.mem[i].name = block->entry->window[i].name;
	for (i = 0; i < buffers; i++) {
		data->uioinfo.mem[windows + i].name = block->entry->buffer[i].name;
		block->buffer_sizes[i] = le64_to_cpu(block->entry->buffer[i].size);
	}
	data->dynamic_region_sizes = block->buffer_sizes;
	data->num_dynamic_regions = buffers;
}

static int gc_block_add(struct gc_block *block)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("compatible", block->entry->compatible),
		/* Since 6.10 uio_pdrv_genirq prefers properties to platform data. */
		PROPERTY_ENTRY_STRING("linux,uio-name", block->entry->name),
		{}};
	struct pci_dev *parent = block->card->pdev;
	struct platform_device *pdev =
		platform_device_alloc(block->entry->name, pci_dev_id(parent));
	int ret;

	if (!pdev)
		return -ENOMEM;
	pdev->dev.parent = &parent->dev;
	pdev->dev.groups = gc_block_groups;
	gc_block_fill_platform_data(block);
	ret = gc_block_add_resources(block, pdev);
	if (!ret)
		ret = platform_device_add_data(pdev, &block->platform_data,
					       sizeof(block->platform_data));
	if (!ret)
		ret = device_create_managed_software_node(&pdev->dev, properties, NULL);
	if (!ret)
		ret = gc_reset_init(block);
	if (ret)
		goto err_put;
	gc_block_set_dma(block, &pdev->dev);
	/* The notifier uses it as soon as the device is added. */
	block->pdev = pdev;
	ret = platform_device_add(pdev);
	if (ret)
		goto err_reset;
	dev_info(&parent->dev, "platform device %s, %s\n", dev_name(&pdev->dev),
		 block->entry->compatible);
	return 0;

err_reset:
	block->pdev = NULL;
	gc_reset_exit(block);
err_put:
	dev_err(&parent->dev, "cannot create the platform device %s: %pe\n", block->entry->name,
		ERR_PTR(ret));
	/* A device that was never added would keep it. */
	device_remove_software_node(&pdev->dev);
	platform_device_put(pdev);
	return ret;
}

static void gc_blocks_remove_some(struct gc_card *card, unsigned int count)
{
	while (count--) {
		struct gc_block *block = &card->blocks[count];

		/* Drivers are unbound here, and may have to wait for their users. */
		platform_device_unregister(block->pdev);
		block->pdev = NULL;
		gc_reset_exit(block);
	}
}

int gc_blocks_add(struct gc_card *card)
{
	unsigned int i;
	int ret;

	for (i = 0; i < card->block_count; i++) {
		ret = gc_block_add(&card->blocks[i]);
		if (ret) {
			gc_blocks_remove_some(card, i);
			return ret;
		}
	}
	return 0;
}

void gc_blocks_remove(struct gc_card *card)
{
	gc_blocks_remove_some(card, card->block_count);
}

int gc_platform_init(void)
{
	return bus_register_notifier(&platform_bus_type, &gc_bus_notifier);
}

void gc_platform_exit(void)
{
	bus_unregister_notifier(&platform_bus_type, &gc_bus_notifier);
}
