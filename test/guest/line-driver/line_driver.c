// SPDX-License-Identifier: GPL-2.0
/*
 * Driver of the test card whose INTx line the test drives (line-card.ts), for tests of INTx and of suspend.
 * It never accesses a BAR. Its interrupt is disabled when it has come. In the device's folder in sysfs:
 *
 *   echo 1 > rearm   enables the interrupt again
 *   cat sleeps       how often suspend and resume have been called: "1 1"
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

struct line {
    int irq;
    unsigned int suspends, resumes;
};

static irqreturn_t line_interrupt(int irq, void *data)
{
    disable_irq_nosync(irq);
    return IRQ_HANDLED;
}

static ssize_t rearm_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct line *line = dev_get_drvdata(dev);

    enable_irq(line->irq);
    return length;
}
static DEVICE_ATTR_WO(rearm);

static ssize_t sleeps_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct line *line = dev_get_drvdata(dev);

    return sysfs_emit(text, "%u %u\n", line->suspends, line->resumes);
}
static DEVICE_ATTR_RO(sleeps);

static struct attribute *line_attrs[] = {&dev_attr_rearm.attr, &dev_attr_sleeps.attr, NULL};
ATTRIBUTE_GROUPS(line);

static int line_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct line *line = devm_kzalloc(&pdev->dev, sizeof(*line), GFP_KERNEL);
    int error;

    if (!line)
        return -ENOMEM;
    pci_set_drvdata(pdev, line);
    error = pcim_enable_device(pdev);
    if (error)
        return error;
    line->irq = pdev->irq;
    return devm_request_irq(&pdev->dev, line->irq, line_interrupt, 0, "line-driver", line);
}

static int line_suspend(struct device *dev)
{
    struct line *line = dev_get_drvdata(dev);

    line->suspends++;
    return 0;
}

static int line_resume(struct device *dev)
{
    struct line *line = dev_get_drvdata(dev);

    line->resumes++;
    return 0;
}
static DEFINE_SIMPLE_DEV_PM_OPS(line_pm, line_suspend, line_resume);

static const struct pci_device_id line_ids[] = {{PCI_DEVICE(0x1234, 0x4771)}, {}};
MODULE_DEVICE_TABLE(pci, line_ids);

static struct pci_driver line_driver = {
        .name = "line-driver",
        .id_table = line_ids,
        .probe = line_probe,
        .dev_groups = line_groups,
        .driver.pm = pm_sleep_ptr(&line_pm),
};
module_pci_driver(line_driver);

MODULE_DESCRIPTION("Driver of a test card with an INTx line");
MODULE_LICENSE("GPL");
