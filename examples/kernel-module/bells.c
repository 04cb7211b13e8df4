// SPDX-License-Identifier: GPL-2.0
/*
 * Driver for the bells card (bells-card.ts): four bells, each with an MSI-X vector of its own. In the
 * device's folder in sysfs, such as /sys/bus/pci/devices/0000:01:00.0:
 *
 *   echo 2 > ring    rings bell 2 and returns when its interrupt has come; ETIMEDOUT if it does not
 *   cat heard        how many interrupts each bell has made: "0 0 1 0"
 *
 * There is no remove function: all that probe takes is managed, and the kernel gives it back in reverse
 * order.
 */
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

/* BAR 0. All registers have 32 bits. */
#define BELLS_ID 0x00   /* read-only: BELLS_MAGIC */
#define BELLS_RING 0x04 /* write-only: number of the bell to ring */

#define BELLS_MAGIC 0x4c4c4542 /* "BELL" */
#define BELLS 4

static unsigned int timeout_ms = 5000;
module_param(timeout_ms, uint, 0644);
MODULE_PARM_DESC(timeout_ms, "how long ring waits for the interrupt");

struct bell {
    struct completion rung;
    atomic_t heard;
};

struct bells {
    void __iomem *registers;
    struct mutex ringing; /* one at a time: each waits for an interrupt of its own */
    struct bell bell[BELLS];
};

static irqreturn_t bell_interrupt(int irq, void *data)
{
    struct bell *bell = data;

    atomic_inc(&bell->heard);
    complete(&bell->rung);
    return IRQ_HANDLED;
}

static ssize_t ring_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct bells *bells = dev_get_drvdata(dev);
    unsigned long left;
    unsigned int number;

    if (kstrtouint(text, 0, &number) || number >= BELLS)
        return -EINVAL;
    mutex_lock(&bells->ringing);
    reinit_completion(&bells->bell[number].rung);
    iowrite32(number, bells->registers + BELLS_RING);
    left = wait_for_completion_timeout(&bells->bell[number].rung, msecs_to_jiffies(timeout_ms));
    mutex_unlock(&bells->ringing);
    if (left > 0)
        return length;
    dev_err(dev, "bell %u was rung, and no interrupt came within %u ms\n", number, timeout_ms);
    return -ETIMEDOUT;
}
static DEVICE_ATTR_WO(ring);

static ssize_t heard_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct bells *bells = dev_get_drvdata(dev);
    int i, length = 0;

    for (i = 0; i < BELLS; i++)
        length += sysfs_emit_at(text, length, i ? " %d" : "%d", atomic_read(&bells->bell[i].heard));
    return length + sysfs_emit_at(text, length, "\n");
}
static DEVICE_ATTR_RO(heard);

static struct attribute *bells_attrs[] = {&dev_attr_ring.attr, &dev_attr_heard.attr, NULL};
ATTRIBUTE_GROUPS(bells);

static int bells_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct device *dev = &pdev->dev;
    struct bells *bells = devm_kzalloc(dev, sizeof(*bells), GFP_KERNEL);
    int error, i;
    u32 magic;

    if (!bells)
        return -ENOMEM;
    mutex_init(&bells->ringing);
    pci_set_drvdata(pdev, bells);

    error = pcim_enable_device(pdev);
    if (!error)
        error = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
    if (error)
        return dev_err_probe(dev, error, "BAR 0 cannot be mapped\n");
    bells->registers = pcim_iomap_table(pdev)[0];
    magic = ioread32(bells->registers + BELLS_ID);
    if (magic != BELLS_MAGIC)
        return dev_err_probe(dev, -ENODEV, "ID is 0x%08x instead of 0x%08x\n", magic, BELLS_MAGIC);

    pci_set_master(pdev); /* an interrupt message is a memory write of the card's */
    error = pci_alloc_irq_vectors(pdev, BELLS, BELLS, PCI_IRQ_MSIX);
    for (i = 0; i < BELLS && error >= 0; i++) {
        init_completion(&bells->bell[i].rung);
        error = devm_request_irq(dev, pci_irq_vector(pdev, i), bell_interrupt, 0,
                devm_kasprintf(dev, GFP_KERNEL, "bell-%d", i), &bells->bell[i]);
    }
    return error < 0 ? dev_err_probe(dev, error, "cannot have %d MSI-X interrupts\n", BELLS) : 0;
}

static const struct pci_device_id bells_ids[] = {{PCI_DEVICE(0x1234, 0x4761)}, {}};
MODULE_DEVICE_TABLE(pci, bells_ids);

static struct pci_driver bells_driver = {
        .name = "bells",
        .id_table = bells_ids,
        .probe = bells_probe,
        .dev_groups = bells_groups,
};
module_pci_driver(bells_driver);

MODULE_DESCRIPTION("Driver for the bells card");
MODULE_LICENSE("GPL");
