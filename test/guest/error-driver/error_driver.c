// SPDX-License-Identifier: GPL-2.0
/*
 * Two drivers of the test card that detects errors of the bus (error-card.ts): error-driver recovers from
 * them, and deaf-driver has no handlers. In the device's folder in sysfs:
 *
 *   echo 2 > poke          writes the card's register ERROR[2].TRIGGER
 *   cat scratch            the card's register SCRATCH, and echo to write it
 *   echo need-reset > answer   what error_detected answers: can-recover, need-reset (the default), disconnect
 *   cat events             which handlers have been called: "error_detected:normal slot_reset:5 resume"
 */
#include <linux/module.h>
#include <linux/pci.h>

#define SCRATCH 0x0
#define TRIGGERS 0x10
#define TRIGGER_COUNT 8

struct errors {
    void __iomem *bar;
    pci_ers_result_t answer;
    char events[512];
};

static const char *const answers[] = {
        [PCI_ERS_RESULT_CAN_RECOVER] = "can-recover",
        [PCI_ERS_RESULT_NEED_RESET] = "need-reset",
        [PCI_ERS_RESULT_DISCONNECT] = "disconnect",
};

static void note(struct errors *errors, const char *format, ...)
{
    size_t used = strlen(errors->events);
    va_list list;

    va_start(list, format);
    vscnprintf(errors->events + used, sizeof(errors->events) - used, format, list);
    va_end(list);
}

static ssize_t poke_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct errors *errors = dev_get_drvdata(dev);
    u32 number;
    int error = kstrtou32(text, 0, &number);

    if (error || number >= TRIGGER_COUNT)
        return error ?: -EINVAL;
    writel(1, errors->bar + TRIGGERS + 4 * number);
    return length;
}
static DEVICE_ATTR_WO(poke);

static ssize_t scratch_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct errors *errors = dev_get_drvdata(dev);

    return sysfs_emit(text, "%u\n", readl(errors->bar + SCRATCH));
}

static ssize_t scratch_store(
        struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct errors *errors = dev_get_drvdata(dev);
    u32 value;
    int error = kstrtou32(text, 0, &value);

    if (error)
        return error;
    writel(value, errors->bar + SCRATCH);
    return length;
}
static DEVICE_ATTR_RW(scratch);

static ssize_t answer_store(
        struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct errors *errors = dev_get_drvdata(dev);
    size_t at;

    for (at = 0; at < ARRAY_SIZE(answers); at++)
        if (answers[at] && sysfs_streq(text, answers[at])) {
            errors->answer = at;
            return length;
        }
    return -EINVAL;
}
static DEVICE_ATTR_WO(answer);

static ssize_t events_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct errors *errors = dev_get_drvdata(dev);
    ssize_t length = sysfs_emit(text, "%s\n", strim(errors->events));

    errors->events[0] = 0;
    return length;
}
static DEVICE_ATTR_RO(events);

static struct attribute *errors_attrs[] = {
        &dev_attr_poke.attr, &dev_attr_scratch.attr, &dev_attr_answer.attr, &dev_attr_events.attr, NULL};
ATTRIBUTE_GROUPS(errors);

static int errors_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct errors *errors = devm_kzalloc(&pdev->dev, sizeof(*errors), GFP_KERNEL);
    int error;

    if (!errors)
        return -ENOMEM;
    pci_set_drvdata(pdev, errors);
    errors->answer = PCI_ERS_RESULT_NEED_RESET;
    error = pcim_enable_device(pdev);
    if (error)
        return error;
    errors->bar = pcim_iomap(pdev, 0, 0);
    if (!errors->bar)
        return -ENOMEM;
    /* Linux has done so when it found the card; a test may have turned it off. */
    pcie_capability_set_word(pdev, PCI_EXP_DEVCTL,
            PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE);
    pci_save_state(pdev);
    return 0;
}

static pci_ers_result_t errors_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
    struct errors *errors = pci_get_drvdata(pdev);

    note(errors, "error_detected:%s ",
            state == pci_channel_io_normal   ? "normal"
            : state == pci_channel_io_frozen ? "frozen"
                                             : "failure");
    return errors->answer;
}

static pci_ers_result_t errors_mmio_enabled(struct pci_dev *pdev)
{
    struct errors *errors = pci_get_drvdata(pdev);

    note(errors, "mmio_enabled:%u ", readl(errors->bar + SCRATCH));
    return PCI_ERS_RESULT_RECOVERED;
}

static pci_ers_result_t errors_slot_reset(struct pci_dev *pdev)
{
    struct errors *errors = pci_get_drvdata(pdev);

    pci_restore_state(pdev);
    pci_save_state(pdev);
    if (readl(errors->bar + SCRATCH) == ~0u)
        return PCI_ERS_RESULT_DISCONNECT;
    note(errors, "slot_reset:%u ", readl(errors->bar + SCRATCH));
    return PCI_ERS_RESULT_RECOVERED;
}

static void errors_resume(struct pci_dev *pdev)
{
    note(pci_get_drvdata(pdev), "resume ");
}

static const struct pci_error_handlers errors_handlers = {
        .error_detected = errors_detected,
        .mmio_enabled = errors_mmio_enabled,
        .slot_reset = errors_slot_reset,
        .resume = errors_resume,
};

/* Both are bound by name (driver_override). */
static const struct pci_device_id errors_ids[] = {{PCI_DEVICE(0x1234, 0x4772)}, {}};

static struct pci_driver error_driver = {
        .name = "error-driver",
        .id_table = errors_ids,
        .probe = errors_probe,
        .dev_groups = errors_groups,
        .err_handler = &errors_handlers,
};

static struct pci_driver deaf_driver = {
        .name = "deaf-driver",
        .id_table = errors_ids,
        .probe = errors_probe,
        .dev_groups = errors_groups,
};

static int __init errors_init(void)
{
    int error = pci_register_driver(&error_driver);

    if (error)
        return error;
    error = pci_register_driver(&deaf_driver);
    if (error)
        pci_unregister_driver(&error_driver);
    return error;
}
module_init(errors_init);

static void __exit errors_exit(void)
{
    pci_unregister_driver(&deaf_driver);
    pci_unregister_driver(&error_driver);
}
module_exit(errors_exit);

MODULE_DESCRIPTION("Drivers of a test card that detects errors of the bus");
MODULE_LICENSE("GPL");
