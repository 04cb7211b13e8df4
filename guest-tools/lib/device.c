/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same whichever driver the device is bound to; see ghostcard.h. */
#define _GNU_SOURCE
#include "backend.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const struct gc_backend_ops *const BACKENDS[] = {&gc_backend_uio_pci, &gc_backend_vfio_pci,
        &gc_backend_uio_pdrv, &gc_backend_uio_dmem, &gc_backend_vfio_platform};
enum { BACKEND_COUNT = sizeof(BACKENDS) / sizeof(BACKENDS[0]) };

bool gc_fail(struct gc_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (error)
        vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return false;
}

uint64_t gc_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int gc_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = gc_now_ns();
    return now_ns < deadline_ns ? (int)((deadline_ns - now_ns + 999999) / 1000000) : 0;
}

static const char *driver_names(char names[128])
{
    size_t used = 0;
    for (int i = 0; i < BACKEND_COUNT; i++)
        used += (size_t)snprintf(names + used, 128 - used, "%s%s", i > 0 ? ", " : "", BACKENDS[i]->driver);
    return names;
}

static const struct gc_backend_ops *backend_for(const struct gc_device *device, struct gc_error *error)
{
    char driver[64], names[128];
    if (!gc_sysfs_link(device, "driver", driver, sizeof(driver))) {
        gc_fail(error,
                "%s is bound to no driver: bind its card first, as in 'ghostcard-bind 0000:00:04.0 "
                "uio_pci_generic'",
                device->name);
        return NULL;
    }
    for (int i = 0; i < BACKEND_COUNT; i++) {
        if (strcmp(driver, BACKENDS[i]->driver) == 0)
            return BACKENDS[i];
    }
    gc_fail(error, "%s is bound to the driver '%s', which is none of %s: rebind it", device->name, driver,
            driver_names(names));
    return NULL;
}

/* A PCI function whose driver has made platform devices of it stands for them, if it is only one. */
static bool find_platform_device(struct gc_device *device, struct gc_error *error)
{
    char driver[64], names[512];
    if (!gc_sysfs_link(device, "driver", driver, sizeof(driver)) || strcmp(driver, "ghostcard") != 0)
        return true;
    size_t length = gc_sysfs_read_all(device, "platform_devices", names, sizeof(names));
    size_t first = strcspn(names, "\n");
    if (length > first + 1)
        return gc_fail(error, "%s is several platform devices: open one of them by its name:\n%s",
                device->name, names);
    if (first == 0 || first >= GC_NAME_SIZE)
        return gc_fail(error,
                "%s is bound to the driver ghostcard, which has made no platform device of it: see "
                "the kernel log",
                device->name);
    device->bus = "platform";
    memcpy(device->name, names, first);
    device->name[first] = '\0';
    return true;
}

struct gc_device *gc_open(const char *name, struct gc_error *error)
{
    const char *bus = gc_sysfs_bus(name);
    if (!bus || strlen(name) >= GC_NAME_SIZE) {
        gc_fail(error,
                "no device '%.80s' in /sys/bus/pci/devices or /sys/bus/platform/devices: give a PCI "
                "function's "
                "full address, as in 0000:00:04.0, or a platform device's name, as in ghostcard-ref.256",
                name);
        return NULL;
    }
    struct gc_device *device = calloc(1, sizeof(*device));
    if (!device) {
        gc_fail(error, "no memory to open %s", name);
        return NULL;
    }
    device->bus = bus;
    strcpy(device->name, name);
    const struct gc_backend_ops *ops = NULL;
    if (find_platform_device(device, error))
        ops = device->ops = backend_for(device, error);
    if (!ops) {
        free(device);
        return NULL;
    }
    if (!ops->open(device, error)) {
        free(device);
        return NULL;
    }
    if (!gc_set_bus_master(device, false, error)) {
        gc_close(device);
        return NULL;
    }
    return device;
}

/* A window may begin in the middle of a page. */
static void unmap(const struct gc_window *window)
{
    uintptr_t inside = (uintptr_t)window->mapped % (uintptr_t)sysconf(_SC_PAGESIZE);
    munmap((uint8_t *)window->mapped - inside, window->size + inside);
}

void gc_close(struct gc_device *device)
{
    if (!device)
        return;
    gc_irq_disable(device);
    gc_set_bus_master(device, false, NULL);
    for (unsigned i = 0; i < GC_MAX_WINDOWS; i++) {
        if (device->windows[i].mapped)
            unmap(&device->windows[i]);
    }
    device->ops->close(device);
    free(device);
}

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
                "%s 0x%x of the configuration space of %s: a platform device has none; its card's is the "
                "kernel's own",
                write ? "write to" : "read of", offset, device->name);
    /* Both this program and configuration space are little-endian: the low bytes come first. */
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

/* The command register of a function that is not there. */
static const uint32_t ALL_ONES = UINT16_MAX;

bool gc_pci_set_command(struct gc_device *device, uint32_t clear, uint32_t set, struct gc_error *error)
{
    uint32_t command;
    if (!gc_config_read(device, PCI_COMMAND, 2, &command, error))
        return false;
    if (command == ALL_ONES) /* written back it would turn on whatever there is */
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
        return true; /* what does not answer reaches no memory either */
    return gc_pci_set_command(device, PCI_COMMAND_MASTER, 0, error);
}

bool gc_restore(struct gc_device *device, struct gc_error *error)
{
    if (!gc_is_pci(device))
        return gc_fail(error,
                "%s cannot be given its addresses again: its function is the kernel's, and a platform device "
                "has no way to it",
                device->name);
    return (!device->ops->restore_bars || device->ops->restore_bars(device, error)) &&
           gc_pci_set_command(device, 0, PCI_COMMAND_MEMORY, error);
}

bool gc_reset(struct gc_device *device, struct gc_error *error)
{
    if (device->irq_enabled)
        return gc_fail(error, "reset of %s while interrupts are enabled: disable them first", device->name);
    if (!gc_can_reset(device))
        return gc_fail(error, "%s has no reset of %s: only the device's own registers can, or another driver",
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
