/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VFIO device: its regions and interrupts by their numbers, whose meaning depends on the bus, and its
 * reset.
 *
 * Models: Linux include/uapi/linux/vfio.h (VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_SET_IRQS).
 */
#define _GNU_SOURCE
#include "vfio.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

bool gc_vfio_region_info(const struct gc_device *device, unsigned region, struct vfio_region_info *info)
{
    *info = (struct vfio_region_info){.argsz = sizeof(*info), .index = region};
    return ioctl(device->vfio.device_fd, VFIO_DEVICE_GET_REGION_INFO, info) == 0;
}

bool gc_vfio_open_region(
        struct gc_device *device, struct gc_window *window, unsigned region, struct gc_error *error)
{
    struct vfio_region_info info;
    if (!gc_vfio_region_info(device, region, &info))
        return gc_fail(error, "cannot get information on region %u of %s from VFIO: %s", region, device->name,
                strerror(errno));
    if (info.size == 0)
        return gc_fail(
                error, "region %u of %s is empty: the device has no such window", region, device->name);
    window->size = (size_t)info.size;
    device->vfio.window_offsets[window->index] = info.offset;
    if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
        return true;
    void *mapped = mmap(NULL, window->size, PROT_READ | PROT_WRITE, MAP_SHARED, device->vfio.device_fd,
            (off_t)info.offset);
    if (mapped == MAP_FAILED)
        return gc_fail(error, "cannot map %zu bytes of region %u of %s: %s", window->size, region,
                device->name, strerror(errno));
    window->mapped = mapped;
    return true;
}

bool gc_vfio_access(const struct gc_device *device, bool write, uint64_t offset, unsigned size, void *value)
{
    int fd = device->vfio.device_fd;
    ssize_t done = write ? pwrite(fd, value, size, (off_t)offset) : pread(fd, value, size, (off_t)offset);
    return done == (ssize_t)size;
}

bool gc_vfio_window_access(
        const struct gc_window *window, bool write, size_t offset, unsigned size, void *value)
{
    const struct gc_device *device = window->device;
    return gc_vfio_access(device, write, device->vfio.window_offsets[window->index] + offset, size, value);
}

/*
 * VFIO_DEVICE_SET_IRQS for vectors 0 to count - 1; `event_fds` only with VFIO_IRQ_SET_DATA_EVENTFD. 0:
 * success. Negative: errno. Positive: nothing was done, because the kernel has only that many vectors.
 */
static int set_irqs(
        struct gc_device *device, unsigned irq, uint32_t flags, unsigned count, const int *event_fds)
{
    struct {
        struct vfio_irq_set head;
        int event_fds[GC_MAX_VECTORS];
    } set = {.head = {.flags = flags, .index = irq, .start = 0, .count = count}};
    size_t data_size = event_fds ? count * sizeof(int) : 0;
    set.head.argsz = (uint32_t)(sizeof(set.head) + data_size);
    if (event_fds)
        memcpy(set.event_fds, event_fds, data_size);
    return ioctl(device->vfio.device_fd, VFIO_DEVICE_SET_IRQS, &set);
}

static void close_event_fds(struct gc_device *device, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(device->vfio.event_fds[i]);
}

static bool open_event_fds(struct gc_device *device, unsigned count, struct gc_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        device->vfio.event_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (device->vfio.event_fds[i] < 0) {
            close_event_fds(device, i);
            return gc_fail(error, "cannot create an eventfd for interrupt vector %u of %s: %s", i,
                    device->name, strerror(errno));
        }
    }
    return true;
}

bool gc_vfio_irq_enable(
        struct gc_device *device, unsigned irq, unsigned *vectors, const char *name, struct gc_error *error)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = irq};
    const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    unsigned wanted = *vectors;
    if (ioctl(device->vfio.device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
        return gc_fail(error, "cannot get information on %s of %s from VFIO: %s", name, device->name,
                strerror(errno));
    if (info.count < wanted)
        return gc_fail(error, "cannot enable %u vectors of %s of %s, which has %u", wanted, name,
                device->name, info.count);
    if (!open_event_fds(device, wanted, error))
        return false;
    int result = set_irqs(device, irq, flags, wanted, device->vfio.event_fds);
    if (result > 0) {
        for (*vectors = 1; wanted > 1; wanted--)
            close(device->vfio.event_fds[wanted - 1]);
        result = set_irqs(device, irq, flags, 1, device->vfio.event_fds);
    }
    if (result == 0)
        return true;
    gc_fail(error, "VFIO cannot enable %u vectors of %s of %s: %s", *vectors, name, device->name,
            strerror(errno));
    close_event_fds(device, wanted);
    return false;
}

void gc_vfio_irq_disable(struct gc_device *device, unsigned irq, unsigned vectors)
{
    set_irqs(device, irq, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL);
    close_event_fds(device, vectors);
}

int gc_vfio_irq_fd(const struct gc_device *device, unsigned vector)
{
    return device->vfio.event_fds[vector];
}

bool gc_vfio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error)
{
    ssize_t got = read(device->vfio.event_fds[vector], taken, sizeof(*taken));
    if (got == sizeof(*taken))
        return true;
    *taken = 0;
    return errno == EAGAIN || gc_fail(error, "cannot read the eventfd of interrupt vector %u of %s: %s",
                                      vector, device->name, strerror(errno));
}

bool gc_vfio_irq_action(struct gc_device *device, unsigned irq, uint32_t action)
{
    return set_irqs(device, irq, VFIO_IRQ_SET_DATA_NONE | action, 1, NULL) == 0;
}

bool gc_vfio_reset(struct gc_device *device, struct gc_error *error)
{
    return ioctl(device->vfio.device_fd, VFIO_DEVICE_RESET) == 0 ||
           gc_fail(error, "VFIO cannot reset %s: %s", device->name, strerror(errno));
}
