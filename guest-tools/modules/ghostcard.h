/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the module know of each other. */
#ifndef GHOSTCARD_H
#define GHOSTCARD_H

#include <linux/device.h>
#include <linux/irqdomain.h>
#include <linux/pci.h>
#include <linux/platform_data/uio_dmem_genirq.h>
#include <linux/platform_device.h>
#include <linux/spinlock.h>

#include "platform_table.h"

struct gc_card;

/* One block of the table, and the platform device that it has become. */
struct gc_block {
	struct gc_card *card;
	/* In the card's copy of the table, checked. */
	const struct ghostcard_block *entry;
	struct platform_device *pdev;
	/* Linux interrupt; 0 for none. */
	int irq;
	/* The reset register; NULL for none. */
	void __iomem *reset;
	/* A reset handler has been registered for the compatible string. */
	bool reset_registered;
	/* What every driver finds when it is bound: they write into their copy. */
	struct uio_dmem_genirq_pdata platform_data;
	unsigned int buffer_sizes[GHOSTCARD_MAX_MAPS];
};

/* The INTx line of the function, handed on as a level interrupt of our own. */
struct gc_intx {
	struct irq_domain *domain;
	int irq;
	/* The table: where a read does nothing but flush. */
	void __iomem *flush;
	/* Orders Interrupt Disable in the command register against `masked`. */
	raw_spinlock_t lock;
	bool masked;
};

struct gc_card {
	struct pci_dev *pdev;
	struct ghostcard_table *table;
	struct gc_intx intx;
	bool uses_intx;
	bool uses_msix;
	unsigned int block_count;
	struct gc_block blocks[];
};

/* table.c */
struct ghostcard_table *gc_table_read(struct pci_dev *pdev);
void __iomem *gc_table_map(struct pci_dev *pdev);
const struct ghostcard_block *gc_table_block(const struct ghostcard_table *table,
					     unsigned int index);

/* table_check.c */
bool gc_blocks_are_good(struct pci_dev *pdev, const struct ghostcard_table *table);

#define gc_bad_table(pdev, fmt, ...)                                                               \
	dev_err(&(pdev)->dev,                                                                      \
		"no platform devices, since the card's table of them is bad: " fmt "\n",           \
		##__VA_ARGS__)

/* irq.c */
int gc_irq_init(struct gc_card *card);
void gc_irq_exit(struct gc_card *card);

/* block.c */
struct gc_block *gc_block_of(struct device *dev);
extern const struct attribute_group *gc_block_groups[];

/* platform.c */
int gc_platform_init(void);
void gc_platform_exit(void);
int gc_blocks_add(struct gc_card *card);
void gc_blocks_remove(struct gc_card *card);

/* reset.c */
int gc_reset_init(struct gc_block *block);
void gc_reset_exit(struct gc_block *block);

#endif
