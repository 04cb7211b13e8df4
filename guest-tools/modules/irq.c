// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of the blocks. MSI-X vectors are used directly. INTx gets a
 * separate interrupt, whose irq_chip masks it by Interrupt Disable in the
 * function's command register: the drivers for platform devices leave a level
 * interrupt disabled until user space has handled it, and would otherwise keep
 * a line disabled that others share.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.2 and 6.2.3; Linux
 * Documentation/core-api/irq/irq-domain.rst.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>

#include "ghostcard.h"

/* With intx.lock held. */
static void gc_intx_write_mask(struct gc_card *card, bool masked)
{
	u16 command, wanted;

	card->intx.masked = masked;
	pci_read_config_word(card->pdev, PCI_COMMAND, &command);
	/* The card was removed. */
	if (PCI_POSSIBLE_ERROR(command))
		return;
	wanted = masked ? command | PCI_COMMAND_INTX_DISABLE : command & ~PCI_COMMAND_INTX_DISABLE;
	if (wanted != command)
		pci_write_config_word(card->pdev, PCI_COMMAND, wanted);
}

static void gc_intx_set_masked(struct gc_card *card, bool masked)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&card->intx.lock, flags);
	gc_intx_write_mask(card, masked);
	raw_spin_unlock_irqrestore(&card->intx.lock, flags);
}

static void gc_intx_mask(struct irq_data *data)
{
	gc_intx_set_masked(irq_data_get_irq_chip_data(data), true);
}

/* If the line is still asserted, it interrupts again. */
static void gc_intx_unmask(struct irq_data *data)
{
	gc_intx_set_masked(irq_data_get_irq_chip_data(data), false);
}

static struct irq_chip gc_intx_chip = {
	.name = "ghostcard-INTx",
	.irq_mask = gc_intx_mask,
	.irq_unmask = gc_intx_unmask,
};

static int gc_intx_map(struct irq_domain *domain, unsigned int irq, irq_hw_number_t hwirq)
{
	irq_set_chip_and_handler(irq, &gc_intx_chip, handle_level_irq);
	irq_set_chip_data(irq, domain->host_data);
	/*
	 * As a level interrupt, vfio-platform masks it automatically, and disabling it
	 * takes effect at once.
	 */
	irqd_set_trigger_type(irq_get_irq_data(irq), IRQ_TYPE_LEVEL_LOW);
	irq_set_status_flags(irq, IRQ_LEVEL | IRQ_DISABLE_UNLAZY | IRQ_NOPROBE);
	return 0;
}

static const struct irq_domain_ops gc_intx_domain_ops = {
	.map = gc_intx_map,
};

/*
 * True: the function has interrupted, and is now masked. With intx.lock held.
 * pci_check_and_mask_intx() would see Interrupt Status set in the all ones of a
 * removed card, and claim the interrupts of others on the line for that card.
 */
static bool gc_intx_take(struct gc_card *card)
{
	u32 both; /* Status in the upper half, command in the lower one. */

	if (card->intx.masked)
		return false;
	pci_read_config_dword(card->pdev, PCI_COMMAND, &both);
	if (PCI_POSSIBLE_ERROR(both) || !(both >> 16 & PCI_STATUS_INTERRUPT))
		return false;
	pci_write_config_word(card->pdev, PCI_COMMAND, (u16)both | PCI_COMMAND_INTX_DISABLE);
	card->intx.masked = true;
	return true;
}

/*
 * The line may be shared with other functions, or asserted while this one is
 * masked.
 */
static irqreturn_t gc_intx_handler(int irq, void *data)
{
	struct gc_card *card = data;
	unsigned long flags;
	bool ours;

	raw_spin_lock_irqsave(&card->intx.lock, flags);
	ours = gc_intx_take(card);
	raw_spin_unlock_irqrestore(&card->intx.lock, flags);
	if (!ours) {
		/*
		 * The function may have asserted it a moment ago: the read flushes the write
		 * that deasserts the line. QEMU keeps the line asserted, even for a removed
		 * card, until the card is accessed (hw/vfio/pci.c, vfio_intx_eoi).
		 */
		readl(card->intx.flush);
		return IRQ_NONE;
	}
	/* This may run in a thread (threadirqs). */
	generic_handle_domain_irq_safe(card->intx.domain, 0);
	return IRQ_HANDLED;
}

static int gc_intx_init(struct gc_card *card)
{
	struct gc_intx *intx = &card->intx;
	struct pci_dev *pdev = card->pdev;
	int ret;

	raw_spin_lock_init(&intx->lock);
	if (!pdev->irq || !pci_intx_mask_supported(pdev)) {
		dev_err(&pdev->dev, "a block interrupts by INTx, but the function has no INTx that "
				    "can be masked\n");
		return -EINVAL;
	}
	gc_intx_set_masked(card, true);
	intx->flush = gc_table_map(pdev);
	if (IS_ERR(intx->flush))
		return PTR_ERR(intx->flush);
	intx->domain = irq_domain_create_linear(NULL, 1, &gc_intx_domain_ops, card);
	if (!intx->domain) {
		pci_iounmap(pdev, intx->flush);
		return -ENOMEM;
	}
	intx->irq = irq_create_mapping(intx->domain, 0);
	ret = intx->irq ? request_irq(pdev->irq, gc_intx_handler, IRQF_SHARED, "ghostcard", card)
			: -ENOMEM;
	if (!ret)
		return 0;
	dev_err(&pdev->dev, "cannot request INTx, interrupt %d: %pe\n", pdev->irq, ERR_PTR(ret));
	if (intx->irq)
		irq_dispose_mapping(intx->irq);
	irq_domain_remove(intx->domain);
	pci_iounmap(pdev, intx->flush);
	return ret;
}

static void gc_intx_exit(struct gc_card *card)
{
	free_irq(card->pdev->irq, card);
	irq_dispose_mapping(card->intx.irq);
	irq_domain_remove(card->intx.domain);
	pci_iounmap(card->pdev, card->intx.flush);
	/*
	 * It stays masked: it has no handler now, and others may share the line.
	 * pci_enable_device() of the next driver unmasks it.
	 */
}

static int gc_msix_init(struct gc_card *card)
{
	struct pci_dev *pdev = card->pdev;
	unsigned int i, count = 0;
	int ret;

	for (i = 0; i < card->block_count; i++)
		if (le32_to_cpu(card->blocks[i].entry->interrupt) == GHOSTCARD_INTERRUPT_MSIX)
			count = max(count, le32_to_cpu(card->blocks[i].entry->msix_vector) + 1);
	ret = pci_alloc_irq_vectors(pdev, count, count, PCI_IRQ_MSIX);
	if (ret < 0)
		dev_err(&pdev->dev,
			"cannot allocate the %u MSI-X vectors that the blocks need: %pe\n", count,
			ERR_PTR(ret));
	return min(ret, 0);
}

/* Allocates the interrupts of the blocks and stores them in the blocks. */
int gc_irq_init(struct gc_card *card)
{
	unsigned int i;
	int ret = 0;

	if (card->uses_intx && card->uses_msix) {
		dev_err(&card->pdev->dev, "some blocks interrupt by INTx and others by MSI-X: a "
					  "function can use only "
					  "one of them\n");
		return -EINVAL;
	}
	if (card->uses_intx)
		ret = gc_intx_init(card);
	if (card->uses_msix)
		ret = gc_msix_init(card);
	if (ret)
		return ret;
	for (i = 0; i < card->block_count; i++) {
		struct gc_block *block = &card->blocks[i];

		if (le32_to_cpu(block->entry->interrupt) == GHOSTCARD_INTERRUPT_INTX)
			block->irq = card->intx.irq;
		if (le32_to_cpu(block->entry->interrupt) == GHOSTCARD_INTERRUPT_MSIX)
			block->irq =
				pci_irq_vector(card->pdev, le32_to_cpu(block->entry->msix_vector));
	}
	return 0;
}

void gc_irq_exit(struct gc_card *card)
{
	if (card->uses_intx)
		gc_intx_exit(card);
	if (card->uses_msix)
		pci_free_irq_vectors(card->pdev);
}
