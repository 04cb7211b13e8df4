// SPDX-License-Identifier: GPL-2.0
/*
 * ghostcard: creates platform devices for a PCI card that describes some, so
 * that an FPGA design that is memory-mapped on its board can be driven in a
 * virtual machine in the same way: through uio_pdrv_genirq, uio_dmem_genirq,
 * vfio-platform or a platform driver of your own. The description is a table in
 * the card's register space (table.c).
 *
 * The driver binds to no card by itself: set the function's driver_override to
 * it.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sysfs.h>
#include <linux/version.h>

#include "ghostcard.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "ghostcard is for Linux 6.1 and later"
#endif

/*
 * A platform device's DMA uses the addresses of the PCI function, which an
 * IOMMU would translate.
 */
static int gc_require_physical_addresses(struct pci_dev *pdev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);

	if (!domain || domain->type == IOMMU_DOMAIN_IDENTITY)
		return 0;
	dev_err(&pdev->dev, "the card is behind an IOMMU, which its platform devices cannot use: "
			    "start the guest without one, or with iommu.passthrough=1\n");
	return -EOPNOTSUPP;
}

static struct gc_card *gc_card_alloc(struct pci_dev *pdev, struct ghostcard_table *table)
{
	unsigned int count = le16_to_cpu(table->block_count);
	struct gc_card *card = kzalloc(struct_size(card, blocks, count), GFP_KERNEL);
	unsigned int i;

	if (!card)
		return NULL;
	card->pdev = pdev;
	card->table = table;
	card->block_count = count;
	for (i = 0; i < count; i++) {
		struct gc_block *block = &card->blocks[i];

		block->card = card;
		block->entry = gc_table_block(table, i);
		card->uses_intx |= le32_to_cpu(block->entry->interrupt) == GHOSTCARD_INTERRUPT_INTX;
		card->uses_msix |= le32_to_cpu(block->entry->interrupt) == GHOSTCARD_INTERRUPT_MSIX;
	}
	return card;
}

static int gc_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ghostcard_table *table;
	struct gc_card *card;
	int ret;

	ret = gc_require_physical_addresses(pdev);
	if (ret)
		return ret;
	ret = pci_enable_device(pdev);
	if (ret) {
		dev_err(&pdev->dev, "cannot enable the card: %pe\n", ERR_PTR(ret));
		return ret;
	}
	/* INTx has no handler yet, and others may share the line. */
	pci_intx(pdev, 0);
	table = gc_table_read(pdev);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
		goto err_disable;
	}
	card = gc_card_alloc(pdev, table);
	if (!card) {
		ret = -ENOMEM;
		goto err_table;
	}
	pci_set_drvdata(pdev, card);
	pci_set_master(pdev);
	ret = gc_irq_init(card);
	if (ret)
		goto err_master;
	ret = gc_blocks_add(card);
	if (ret)
		goto err_irq;
	return 0;

err_irq:
	gc_irq_exit(card);
err_master:
	pci_clear_master(pdev);
	kfree(card);
err_table:
	kfree(table);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

static void gc_remove(struct pci_dev *pdev)
{
	struct gc_card *card = pci_get_drvdata(pdev);

	gc_blocks_remove(card);
	gc_irq_exit(card);
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	kfree(card->table);
	kfree(card);
}

/* Attribute of the PCI function: its platform devices, in the table's order. */
static ssize_t platform_devices_show(struct device *dev, struct device_attribute *attr,
				     char *buffer)
{
	struct gc_card *card = dev_get_drvdata(dev);
	unsigned int i;
	int at = 0;

	for (i = 0; i < card->block_count; i++)
		at += sysfs_emit_at(buffer, at, "%s\n", dev_name(&card->blocks[i].pdev->dev));
	return at;
}
static DEVICE_ATTR_RO(platform_devices);

static struct attribute *gc_card_attrs[] = {
	&dev_attr_platform_devices.attr,
	NULL,
};
ATTRIBUTE_GROUPS(gc_card);

static struct pci_driver gc_driver = {
	.name = "ghostcard",
	.probe = gc_probe,
	.remove = gc_remove,
	.dev_groups = gc_card_groups,
};

static int __init gc_init(void)
{
	int ret;

	gc_layout_init();
	ret = gc_platform_init();
	if (ret)
		return ret;
	ret = pci_register_driver(&gc_driver);
	if (ret)
		gc_platform_exit();
	return ret;
}

static void __exit gc_exit(void)
{
	pci_unregister_driver(&gc_driver);
	gc_platform_exit();
	gc_release_exit();
}

module_init(gc_init);
module_exit(gc_exit);

MODULE_DESCRIPTION("Platform devices of a PCI card that describes them");
MODULE_LICENSE("GPL");
