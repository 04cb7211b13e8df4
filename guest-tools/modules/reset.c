// SPDX-License-Identifier: GPL-2.0
/*
 * The reset of a block for vfio-platform, which resets a device when it is
 * opened, closed, and on request, by a handler that is registered for the
 * device's compatible string. Several cards may use the same string.
 *
 * Source: Linux drivers/vfio/platform/vfio_platform_private.h.
 */
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "ghostcard.h"
#include "vfio_platform_private.h"

/* A compatible string with a handler, and the number of blocks that use it. */
struct gc_handler {
	struct list_head link;
	unsigned int users;
	char compatible[sizeof_field(struct ghostcard_block, compatible)];
	struct vfio_platform_reset_node node;
};

static LIST_HEAD(gc_handlers);
static DEFINE_MUTEX(gc_handlers_lock);

#define GC_POLL_EVERY_US 50

static int gc_reset(struct vfio_platform_device *vdev)
{
	struct gc_block *block = gc_block_of(vdev->device);
	u32 busy, limit_us, value;
	int ret;

	if (!block || !block->reset) {
		dev_err(vdev->device, "the card's table has no reset for this device\n");
		return -ENOTTY;
	}
	/* A removed card cannot be reset and need not be. */
	if (!pci_device_is_present(block->card->pdev))
		return 0;
	busy = le32_to_cpu(block->entry->reset_busy_mask);
	limit_us = le32_to_cpu(block->entry->reset_limit_us);
	iowrite32(le32_to_cpu(block->entry->reset_value), block->reset);
	ret = readl_poll_timeout(block->reset, value, !(value & busy), GC_POLL_EVERY_US, limit_us);
	if (ret)
		dev_err(vdev->device,
			"reset: still busy after %u us (the register reads %#x, the busy mask is "
			"%#x)\n",
			limit_us, value, busy);
	return ret;
}

static struct gc_handler *gc_handler_find(const char *compatible)
{
	struct gc_handler *handler;

	list_for_each_entry(handler, &gc_handlers, link)
		if (!strcmp(handler->compatible, compatible))
			return handler;
	return NULL;
}

static int gc_handler_get(const char *compatible)
{
	struct gc_handler *handler;
	int ret = 0;

	mutex_lock(&gc_handlers_lock);
	handler = gc_handler_find(compatible);
	if (!handler) {
		handler = kzalloc(sizeof(*handler), GFP_KERNEL);
		if (!handler) {
			ret = -ENOMEM;
			goto out;
		}
		strscpy(handler->compatible, compatible, sizeof(handler->compatible));
		handler->node.compat = handler->compatible;
		handler->node.owner = THIS_MODULE;
		handler->node.of_reset = gc_reset;
		list_add(&handler->link, &gc_handlers);
		__vfio_platform_register_reset(&handler->node);
	}
	handler->users++;
out:
	mutex_unlock(&gc_handlers_lock);
	return ret;
}

static void gc_handler_put(const char *compatible)
{
	struct gc_handler *handler;

	mutex_lock(&gc_handlers_lock);
	handler = gc_handler_find(compatible);
	if (handler && --handler->users == 0) {
		vfio_platform_unregister_reset(handler->compatible, gc_reset);
		list_del(&handler->link);
		kfree(handler);
	}
	mutex_unlock(&gc_handlers_lock);
}

/*
 * A block without a reset gets no handler. vfio-platform then refuses it, like
 * any device that it cannot reset.
 */
int gc_reset_init(struct gc_block *block)
{
	const struct ghostcard_block *entry = block->entry;
	u32 window = le32_to_cpu(entry->reset_window);
	int ret;

	if (window == GHOSTCARD_NO_RESET)
		return 0;
	block->reset = ioremap(
		pci_resource_start(block->card->pdev, le32_to_cpu(entry->window[window].bar)) +
			le64_to_cpu(entry->window[window].offset) +
			le32_to_cpu(entry->reset_offset),
		sizeof(u32));
	if (!block->reset)
		return -ENOMEM;
	ret = gc_handler_get(entry->compatible);
	if (ret) {
		iounmap(block->reset);
		block->reset = NULL;
		return ret;
	}
	block->reset_registered = true;
	return 0;
}

void gc_reset_exit(struct gc_block *block)
{
	if (!block->reset_registered)
		return;
	gc_handler_put(block->entry->compatible);
	iounmap(block->reset);
	block->reset = NULL;
	block->reset_registered = false;
}
