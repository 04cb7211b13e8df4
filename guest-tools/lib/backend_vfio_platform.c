/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for vfio-platform: regions are the device's register windows in the order of its resources;
 * interrupt 0 is the device's own.
 *
 * What this driver does (Linux drivers/vfio/platform, include/uapi/linux/vfio.h): a level-triggered interrupt
 * is masked when it is taken (VFIO_IRQ_INFO_AUTOMASKED) and stays masked until it is unmasked, even if its
 * eventfd is replaced in between. Reset is a function that a kernel module has registered for the device's
 * compatible string. It also runs at the first open and the last close.
 */
#include "platform.h"
#include "vfio.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { IRQ = 0 };

static bool open_window(struct gc_device *device, struct gc_window *window, struct gc_error *error)
{
    return gc_vfio_open_region(device, window, window->index, error);
}

static bool set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    uint32_t action = masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK;
    return gc_vfio_irq_action(device, IRQ, action) ||
           gc_fail(error, "vfio-platform cannot %s the interrupt of %s: %s%s", masked ? "mask" : "unmask",
                   device->name, strerror(errno), errno == EINVAL ? ": it is not a level interrupt" : "");
}

static bool irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = IRQ};
    if (!gc_platform_has_mode(device, mode, error) ||
            !gc_vfio_irq_enable(device, IRQ, vectors, "the interrupt", error))
        return false;
    /*
     * An edge interrupt, such as an MSI-X message, is never masked. A line may still be masked from when it
     * was last taken.
     */
    device->vfio.automasked = ioctl(device->vfio.device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0 &&
                              info.flags & VFIO_IRQ_INFO_AUTOMASKED;
    if (!device->vfio.automasked || set_masked(device, false, error))
        return true;
    gc_vfio_irq_disable(device, IRQ, *vectors);
    return false;
}

static void irq_disable(struct gc_device *device)
{
    gc_vfio_irq_disable(device, IRQ, device->vectors);
}

static bool irq_set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    return (!masked && !device->vfio.automasked) || set_masked(device, masked, error);
}

const struct gc_backend_ops gc_backend_vfio_platform = {
        .driver = "vfio-platform",
        .best_irq_mode = GC_IRQ_LINE,
        .open = gc_vfio_open,
        .close = gc_vfio_close,
        .find_window = gc_platform_find_window,
        .open_window = open_window,
        .window_access = gc_vfio_window_access,
        .irq_enable = irq_enable,
        .irq_disable = irq_disable,
        .irq_fd = gc_vfio_irq_fd,
        .irq_take = gc_vfio_irq_take,
        .irq_set_masked = irq_set_masked,
        .reset = gc_vfio_reset,
        .dma_alloc = gc_hugepages_alloc,
        .dma_free = gc_hugepages_free,
};
