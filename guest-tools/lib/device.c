/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on an open device that do not depend on its driver; see ghostcard.h. */
#include "backend.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

const char *gc_driver(const struct gc_device *device)
{
    return device->ops->driver;
}

const char *gc_name(const struct gc_device *device)
{
    return device->name;
}

bool gc_is_pci(const struct gc_device *device)
{
    return device->ops->config_access != NULL;
}

static bool config_access(struct gc_device *device, bool write, unsigned offset, unsigned size,
        uint32_t *value, struct gc_error *error)
{
    if (!gc_is_pci(device))
        return gc_fail(error,
                "cannot %s 0x%x of the configuration space of %s: a platform device has none; its card's "
                "belongs to the kernel",
                write ? "write" : "read", offset, device->name);
    /* This program and configuration space are both little-endian: the low bytes come first. */
    return device->ops->config_access(device, write, offset, size, value) ||
           gc_fail(error, "cannot %s %u bytes at 0x%x of the configuration space of %s: %s",
                   write ? "write" : "read", size, offset, device->name, strerror(errno));
}

bool gc_config_read(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t *value, struct gc_error *error)
{
    *value = 0;
    return config_access(device, false, offset, size, value, error);
}

bool gc_config_write(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t value, struct gc_error *error)
{
    return config_access(device, true, offset, size, &value, error);
}

/* What the command register of a missing function reads. */
static const uint32_t ALL_ONES = UINT16_MAX;

bool gc_pci_set_command(struct gc_device *device, uint32_t clear, uint32_t set, struct gc_error *error)
{
    uint32_t command;
    if (!gc_config_read(device, PCI_COMMAND, 2, &command, error))
        return false;
    if (command == ALL_ONES) /* writing it back would turn everything on */
        return gc_fail(
                error, "the command register of %s reads 0xffff: the device does not answer", device->name);
    return gc_config_write(device, PCI_COMMAND, 2, (command & ~clear) | set, error);
}

bool gc_set_bus_master(struct gc_device *device, bool on, struct gc_error *error)
{
    uint32_t command;
    if (!gc_is_pci(device))
        return true;
    if (on)
        return gc_pci_set_command(device, 0, PCI_COMMAND_MASTER, error);
    if (gc_config_read(device, PCI_COMMAND, 2, &command, NULL) && command == ALL_ONES)
        return true; /* a device that does not answer cannot reach memory */
    return gc_pci_set_command(device, PCI_COMMAND_MASTER, 0, error);
}

bool gc_restore(struct gc_device *device, struct gc_error *error)
{
    if (!gc_is_pci(device))
        return gc_fail(error,
                "cannot restore the addresses of %s: its function belongs to the kernel, and a platform "
                "device "
                "has no access to it",
                device->name);
    return (!device->ops->restore_bars || device->ops->restore_bars(device, error)) &&
           gc_pci_set_command(device, 0, PCI_COMMAND_MEMORY, error);
}

bool gc_reset(struct gc_device *device, struct gc_error *error)
{
    if (device->irq_enabled)
        return gc_fail(
                error, "cannot reset %s while interrupts are enabled: disable them first", device->name);
    if (!gc_can_reset(device))
        return gc_fail(error, "%s cannot reset %s: use the device's own registers, or another driver",
                device->ops->driver, device->name);
    return device->ops->reset(device, error);
}

bool gc_can_reset(const struct gc_device *device)
{
    return device->ops->reset != NULL;
}

bool gc_window_open(struct gc_device *device, const struct gc_window_place *place, struct gc_window *window,
        struct gc_error *error)
{
    unsigned index;
    if (!device->ops->find_window(device, place, &index, error))
        return false;
    struct gc_window *own = &device->windows[index];
    if (own->size == 0) {
        *own = (struct gc_window){.device = device, .index = index};
        if (!device->ops->open_window(device, own, error)) {
            own->size = 0;
            return false;
        }
    }
    *window = *own;
    return true;
}
