/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a device with the back end for the driver that it is bound to, and closes it. See ghostcard.h. */
#define _GNU_SOURCE
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct gc_backend_ops *const BACKENDS[] = {&gc_backend_uio_pci, &gc_backend_vfio_pci,
        &gc_backend_uio_pdrv, &gc_backend_uio_dmem, &gc_backend_vfio_platform};
enum { BACKEND_COUNT = sizeof(BACKENDS) / sizeof(BACKENDS[0]) };

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
                "%s is not bound to a driver: bind its card first, as in 'ghostcard-bind 0000:00:04.0 "
                "uio_pci_generic'",
                device->name);
        return NULL;
    }
    for (int i = 0; i < BACKEND_COUNT; i++) {
        if (strcmp(driver, BACKENDS[i]->driver) == 0)
            return BACKENDS[i];
    }
    gc_fail(error, "%s is bound to the driver '%s', which is not one of %s: bind it to one of these",
            device->name, driver, driver_names(names));
    return NULL;
}

/* A PCI function whose driver has created a single platform device stands for that one. */
static bool find_platform_device(struct gc_device *device, struct gc_error *error)
{
    char driver[64], names[512];
    if (!gc_sysfs_link(device, "driver", driver, sizeof(driver)) || strcmp(driver, "ghostcard") != 0)
        return true;
    size_t length = gc_sysfs_read_all(device, "platform_devices", names, sizeof(names));
    size_t first = strcspn(names, "\n");
    if (length > first + 1)
        return gc_fail(error, "%s has several platform devices: open one of them by its name:\n%s",
                device->name, names);
    if (first == 0 || first >= GC_NAME_SIZE)
        return gc_fail(error,
                "%s is bound to the driver ghostcard, which has created no platform device for it: see "
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
                "function's full address, as in 0000:00:04.0, or a platform device's name, as in "
                "ghostcard-ref.256",
                name);
        return NULL;
    }
    struct gc_device *device = calloc(1, sizeof(*device));
    if (!device) {
        gc_fail(error, "no memory to open %s", name);
        return NULL;
    }
    device->bus = bus;
    gc_dma_set_mask(device, 64);
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

/* A window may start in the middle of a page. */
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
