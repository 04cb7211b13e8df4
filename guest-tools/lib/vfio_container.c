/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFIO's container and group in no-IOMMU mode, which hands out a device without translation or protection:
 * the group's node is /dev/vfio/noiommu-N, CAP_SYS_RAWIO is needed, there is no DMA mapping interface, and
 * physical addresses are what the device uses.
 *
 * Models: Linux Documentation/driver-api/vfio.rst, include/uapi/linux/vfio.h.
 */
#define _GNU_SOURCE
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char CONTAINER[] = "/dev/vfio/vfio";

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
    if (!gc_sysfs_link(device, "iommu_group", group, sizeof(group)))
        return gc_fail(error,
                "%s is in no IOMMU group: set vfio's enable_unsafe_noiommu_mode=1 before it is bound",
                device->name);
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
                error, "VFIO group %s is not viable: all of its devices must be bound to VFIO drivers", node);
    if (ioctl(device->vfio.group_fd, VFIO_GROUP_SET_CONTAINER, &device->vfio.container_fd) < 0 ||
            ioctl(device->vfio.container_fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU) < 0)
        return gc_fail(error, "cannot put %s into no-IOMMU mode: %s", node, strerror(errno));
    return true;
}

void gc_vfio_close(struct gc_device *device)
{
    int *fds[] = {&device->vfio.device_fd, &device->vfio.group_fd, &device->vfio.container_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

bool gc_vfio_open(struct gc_device *device, struct gc_error *error)
{
    device->vfio.container_fd = device->vfio.group_fd = device->vfio.device_fd = -1;
    if (open_container(device, error) && open_group(device, error)) {
        device->vfio.device_fd = ioctl(device->vfio.group_fd, VFIO_GROUP_GET_DEVICE_FD, device->name);
        if (device->vfio.device_fd >= 0)
            return true;
        gc_fail(error, "VFIO does not hand out %s: %s", device->name, strerror(errno));
    }
    gc_vfio_close(device);
    return false;
}
