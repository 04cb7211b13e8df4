/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations shared by the parts of the module. */
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

/* One block of the table, and the platform device created for it. */
struct gc_block {
	struct gc_card *card;
	/* In the checked copy of the table that belongs to the card. */
	const struct ghostcard_block *entry;
	struct platform_device *pdev;
	/* Linux interrupt number; 0 for none. */
	int irq;
	/* The reset register; NULL for none. */
	void __iomem *reset;
	/* A reset handler has been registered for the compatible string. */
	bool reset_registered;
	/* The initial platform data of every driver, which writes to its copy. */
	struct uio_dmem_genirq_pdata platform_data;
	unsigned int buffer_sizes[GHOSTCARD_MAX_MAPS];
};

/* The INTx line of the function, exported as a separate level interrupt. */
struct gc_intx {
	struct irq_domain *domain;
	int irq;
	/* The table, where a read has no effect but to flush posted writes. */
	void __iomem *flush;
	/* Keeps Interrupt Disable in the command register consistent with `masked`. */
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
		"no platform devices: the card's table of them is invalid: " fmt "\n",             \
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

/* layout.c */
void gc_layout_init(void);

/* release.c */
void gc_release_exit(void);

/* reset.c */
int gc_reset_init(struct gc_block *block);
void gc_reset_exit(struct gc_block *block);

#endif
