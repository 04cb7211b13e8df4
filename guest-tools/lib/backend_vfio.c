/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for vfio-pci in no-IOMMU mode: everything through VFIO's container, group and device descriptors.
 *
 * No-IOMMU mode hands out a device without translation or protection (Linux Documentation/driver-api/vfio.rst
 * and include/uapi/linux/vfio.h): the group's node is /dev/vfio/noiommu-N, CAP_SYS_RAWIO is needed, there is
 * no DMA mapping interface, and physical addresses are what the device uses. vfio-pci enables the device on
 * open with bus mastering off.
 */
#define _GNU_SOURCE
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char CONTAINER[] = "/dev/vfio/vfio";

static bool region_info(int device_fd, unsigned index, struct vfio_region_info *info)
{
    *info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
    return ioctl(device_fd, VFIO_DEVICE_GET_REGION_INFO, info) == 0;
}

static bool open_container(struct gc_device *device, struct gc_error *error)
{
    int fd = device->vfio.container_fd = open(CONTAINER, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open %s: %s: is the module vfio loaded?", CONTAINER, strerror(errno));
    int version = ioctl(fd, VFIO_GET_API_VERSION);
    if (version != VFIO_API_VERSION)
        return gc_fail(error, "%s speaks VFIO API version %d, this program %d", CONTAINER, version,
                VFIO_API_VERSION);
    if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU) != 1)
        return gc_fail(error, "VFIO has no no-IOMMU mode here: build vfio with VFIO_NOIOMMU and load it with "
                              "enable_unsafe_noiommu_mode=1");
    return true;
}

static bool open_group(struct gc_device *device, struct gc_error *error)
{
    char group[32], node[64];
    struct vfio_group_status status = {.argsz = sizeof(status)};
    if (!gc_sysfs_link(device->address, "iommu_group", group, sizeof(group)))
        return gc_fail(error,
                "%s is in no IOMMU group: set vfio's enable_unsafe_noiommu_mode=1 before it is bound",
                device->address);
    snprintf(node, sizeof(node), "/dev/vfio/noiommu-%s", group);
    device->vfio.group_fd = open(node, O_RDWR | O_CLOEXEC);
    if (device->vfio.group_fd < 0)
        return gc_fail(error, "cannot open %s: %s%s", node, strerror(errno),
                errno == EBUSY   ? ": another program has it"
                : errno == EPERM ? ": CAP_SYS_RAWIO is needed"
                                 : "");
    if (ioctl(device->vfio.group_fd, VFIO_GROUP_GET_STATUS, &status) < 0 ||
            !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return gc_fail(
                error, "VFIO group %s is not viable: all of its devices must be bound to vfio-pci", node);
    if (ioctl(device->vfio.group_fd, VFIO_GROUP_SET_CONTAINER, &device->vfio.container_fd) < 0 ||
            ioctl(device->vfio.container_fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU) < 0)
        return gc_fail(error, "cannot put %s into no-IOMMU mode: %s", node, strerror(errno));
    return true;
}

static bool open_device(struct gc_device *device, struct gc_error *error)
{
    struct vfio_region_info config;
    device->vfio.device_fd = ioctl(device->vfio.group_fd, VFIO_GROUP_GET_DEVICE_FD, device->address);
    if (device->vfio.device_fd < 0)
        return gc_fail(error, "VFIO does not hand out %s: %s", device->address, strerror(errno));
    if (!region_info(device->vfio.device_fd, VFIO_PCI_CONFIG_REGION_INDEX, &config))
        return gc_fail(error, "VFIO tells nothing about the configuration space of %s: %s", device->address,
                strerror(errno));
    device->vfio.config_offset = config.offset;
    return true;
}

static void vfio_close(struct gc_device *device)
{
    int *fds[] = {&device->vfio.device_fd, &device->vfio.group_fd, &device->vfio.container_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static bool vfio_open(struct gc_device *device, struct gc_error *error)
{
    device->vfio.container_fd = device->vfio.group_fd = device->vfio.device_fd = -1;
    if (open_container(device, error) && open_group(device, error) && open_device(device, error))
        return true;
    vfio_close(device);
    return false;
}

static bool vfio_open_bar(struct gc_device *device, struct gc_bar *bar, struct gc_error *error)
{
    struct vfio_region_info info;
    if (!region_info(device->vfio.device_fd, VFIO_PCI_BAR0_REGION_INDEX + bar->index, &info))
        return gc_fail(error, "VFIO tells nothing about BAR %u of %s: %s", bar->index, device->address,
                strerror(errno));
    if (info.size == 0)
        return gc_fail(error, "%s has no BAR %u", device->address, bar->index);
    bar->size = (size_t)info.size;
    device->vfio.bar_offsets[bar->index] = info.offset;
    if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
        return true;
    void *mapped = mmap(
            NULL, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED, device->vfio.device_fd, (off_t)info.offset);
    if (mapped == MAP_FAILED)
        return gc_fail(error, "cannot map %zu bytes of BAR %u of %s: %s", bar->size, bar->index,
                device->address, strerror(errno));
    bar->mapped = mapped;
    return true;
}

static bool file_access(int fd, bool write, uint64_t offset, unsigned size, void *value)
{
    ssize_t done = write ? pwrite(fd, value, size, (off_t)offset) : pread(fd, value, size, (off_t)offset);
    return done == (ssize_t)size;
}

static bool vfio_bar_access(const struct gc_bar *bar, bool write, size_t offset, unsigned size, void *value)
{
    const struct gc_device *device = bar->device;
    return file_access(
            device->vfio.device_fd, write, device->vfio.bar_offsets[bar->index] + offset, size, value);
}

static bool vfio_config_access(
        struct gc_device *device, bool write, unsigned offset, unsigned size, void *value)
{
    return file_access(device->vfio.device_fd, write, device->vfio.config_offset + offset, size, value);
}

static unsigned irq_index(enum gc_irq_mode mode)
{
    static const unsigned INDEXES[] = {
            [GC_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
            [GC_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
            [GC_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
    };
    return INDEXES[mode];
}

/*
 * VFIO_DEVICE_SET_IRQS for vectors 0 to count - 1; `event_fds` only with VFIO_IRQ_SET_DATA_EVENTFD. 0: done;
 * negative: errno; positive: nothing done, the kernel has only that many vectors.
 */
static int set_irqs(
        struct gc_device *device, enum gc_irq_mode mode, uint32_t flags, unsigned count, const int *event_fds)
{
    struct {
        struct vfio_irq_set head;
        int event_fds[GC_MAX_VECTORS];
    } set = {.head = {.flags = flags, .index = irq_index(mode), .start = 0, .count = count}};
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
            return gc_fail(error, "no eventfd for interrupt vector %u of %s: %s", i, device->address,
                    strerror(errno));
        }
    }
    return true;
}

static bool vfio_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = irq_index(mode)};
    const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    const char *name = gc_irq_mode_name(mode);
    unsigned wanted = *vectors;
    if (ioctl(device->vfio.device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
        return gc_fail(
                error, "VFIO tells nothing about %s of %s: %s", name, device->address, strerror(errno));
    if (info.count < wanted)
        return gc_fail(error, "%u vectors of %s asked of %s, which has %u", wanted, name, device->address,
                info.count);
    if (!open_event_fds(device, wanted, error))
        return false;
    int result = set_irqs(device, mode, flags, wanted, device->vfio.event_fds);
    if (result > 0) {
        for (*vectors = 1; wanted > 1; wanted--)
            close(device->vfio.event_fds[wanted - 1]);
        result = set_irqs(device, mode, flags, 1, device->vfio.event_fds);
    }
    if (result == 0)
        return true;
    gc_fail(error, "VFIO does not enable %u vectors of %s on %s: %s", *vectors, name, device->address,
            strerror(errno));
    close_event_fds(device, wanted);
    return false;
}

static void vfio_irq_disable(struct gc_device *device)
{
    set_irqs(device, device->irq_mode, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL);
    close_event_fds(device, device->vectors);
}

static int vfio_irq_fd(const struct gc_device *device, unsigned vector)
{
    return device->vfio.event_fds[vector];
}

static bool vfio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error)
{
    ssize_t got = read(device->vfio.event_fds[vector], taken, sizeof(*taken));
    if (got == sizeof(*taken))
        return true;
    *taken = 0;
    return errno == EAGAIN || gc_fail(error, "cannot read the eventfd of interrupt vector %u of %s: %s",
                                      vector, device->address, strerror(errno));
}

static bool vfio_irq_rearm(struct gc_device *device, struct gc_error *error)
{
    uint32_t flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;
    return set_irqs(device, GC_IRQ_INTX, flags, 1, NULL) == 0 ||
           gc_fail(error, "VFIO does not unmask INTx of %s: %s", device->address, strerror(errno));
}

static bool vfio_reset(struct gc_device *device, struct gc_error *error)
{
    return ioctl(device->vfio.device_fd, VFIO_DEVICE_RESET) == 0 ||
           gc_fail(error, "VFIO does not reset %s: %s", device->address, strerror(errno));
}

const struct gc_backend_ops gc_backend_vfio = {
        .driver = "vfio-pci",
        .best_irq_mode = GC_IRQ_MSIX,
        .open = vfio_open,
        .close = vfio_close,
        .open_bar = vfio_open_bar,
        .bar_access = vfio_bar_access,
        .config_access = vfio_config_access,
        .irq_enable = vfio_irq_enable,
        .irq_disable = vfio_irq_disable,
        .irq_fd = vfio_irq_fd,
        .irq_take = vfio_irq_take,
        .irq_rearm = vfio_irq_rearm,
        .reset = vfio_reset,
};
