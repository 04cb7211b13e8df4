/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for uio_pdrv_genirq and uio_dmem_genirq: windows are maps of /dev/uioN, and so are, with
 * uio_dmem_genirq, DMA buffers owned by the kernel (dmem.c).
 *
 * What these drivers do (Linux drivers/uio/uio_pdrv_genirq.c, uio_dmem_genirq.c,
 * Documentation/driver-api/uio-howto.rst): on an interrupt they disable it at the interrupt controller and
 * count. Writing a 32-bit 1 to the node enables it again, 0 disables it. They have no reset, and no control
 * over DMA.
 */
#define _GNU_SOURCE
#include "platform.h"
#include "uio.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* By the name of the map. uio_dmem_genirq sets no names, but numbers maps as all drivers do. */
static bool find_window(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
        struct gc_error *error)
{
    char name[GC_NAME_SIZE];
    for (unsigned map = 0; map < GC_MAX_WINDOWS; map++) {
        if (place->name && gc_uio_map_text(device, map, "name", name) && strcmp(name, place->name) == 0) {
            *index = map;
            return true;
        }
    }
    return gc_platform_find_window(device, place, index, error);
}

static bool open_window(struct gc_device *device, struct gc_window *window, struct gc_error *error)
{
    return gc_uio_open_map(device, window->index, window, error);
}

static void pdrv_close(struct gc_device *device)
{
    close(device->uio.fd);
}

/* How many maps are register windows: those that sysfs lists, else those that have a name. */
static unsigned window_count(const struct gc_device *device)
{
    char names[GC_PLATFORM_NAMES_SIZE], name[GC_NAME_SIZE];
    const char *each[GC_MAX_WINDOWS];
    unsigned count = gc_platform_names(device, names, each);
    if (count > 0)
        return count;
    while (count < GC_MAX_WINDOWS && gc_uio_map_text(device, count, "name", name) && *name)
        count++;
    return count;
}

static bool dmem_open(struct gc_device *device, struct gc_error *error)
{
    if (!gc_uio_open(device, error))
        return false;
    if (gc_dmem_open(device, window_count(device), error))
        return true;
    close(device->uio.fd);
    return false;
}

static void dmem_close(struct gc_device *device)
{
    gc_dmem_close(device);
    close(device->uio.fd);
}

static bool set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    const int32_t on = !masked;
    return write(device->uio.fd, &on, sizeof(on)) == sizeof(on) ||
           gc_fail(error, "cannot %s the interrupt of %s by writing to its node: %s%s",
                   masked ? "disable" : "enable", device->name, strerror(errno),
                   errno == EIO ? ": the device has no interrupt" : "");
}

static bool irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    *vectors = 1;
    return gc_platform_has_mode(device, mode, error) && gc_uio_start_counting(device, error) &&
           set_masked(device, false, error);
}

static void irq_disable(struct gc_device *device)
{
    set_masked(device, true, NULL);
}

const struct gc_backend_ops gc_backend_uio_pdrv = {
        .driver = "uio_pdrv_genirq",
        .best_irq_mode = GC_IRQ_LINE,
        .open = gc_uio_open,
        .close = pdrv_close,
        .find_window = find_window,
        .open_window = open_window,
        .irq_enable = irq_enable,
        .irq_disable = irq_disable,
        .irq_fd = gc_uio_irq_fd,
        .irq_take = gc_uio_irq_take,
        .irq_set_masked = set_masked,
        .dma_alloc = gc_hugepages_alloc,
        .dma_free = gc_hugepages_free,
};

const struct gc_backend_ops gc_backend_uio_dmem = {
        .driver = "uio_dmem_genirq",
        .best_irq_mode = GC_IRQ_LINE,
        .open = dmem_open,
        .close = dmem_close,
        .find_window = find_window,
        .open_window = open_window,
        .irq_enable = irq_enable,
        .irq_disable = irq_disable,
        .irq_fd = gc_uio_irq_fd,
        .irq_take = gc_uio_irq_take,
        .irq_set_masked = set_masked,
        .dma_alloc = gc_dmem_alloc,
        .dma_free = gc_dmem_free,
        .dma_limit = gc_dmem_limit,
};
