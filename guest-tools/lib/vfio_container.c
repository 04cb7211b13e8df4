/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFIO's container and group. Behind an IOMMU the group's node is /dev/vfio/N, and a container of type 1 maps
 * what the device can reach (vfio_type1.c). Without one, no-IOMMU mode gives access to a device without
 * translation or protection: the node is /dev/vfio/noiommu-N, CAP_SYS_RAWIO is needed, there is no interface
 * for DMA mappings, and the device uses physical addresses. The existing node tells which of the two applies.
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
        return gc_fail(error, "%s uses VFIO API version %d, but this program supports %d", CONTAINER, version,
                VFIO_API_VERSION);
    return true;
}

/* The node of the device's group. True if the group is a real one, behind an IOMMU. */
static bool group_node(const char *group, char node[64])
{
    snprintf(node, 64, "/dev/vfio/noiommu-%s", group);
    if (access(node, F_OK) == 0)
        return false;
    snprintf(node, 64, "/dev/vfio/%s", group);
    return true;
}

static bool set_iommu(struct gc_device *device, bool is_real, const char *node, struct gc_error *error)
{
    int fd = device->vfio.container_fd;
    int type = is_real ? VFIO_TYPE1v2_IOMMU : VFIO_NOIOMMU_IOMMU;
    if (ioctl(fd, VFIO_CHECK_EXTENSION, type) != 1)
        return gc_fail(error, "VFIO does not support %s here: %s", node,
                is_real ? "is the module vfio_iommu_type1 loaded?"
                        : "build vfio with VFIO_NOIOMMU and load it with enable_unsafe_noiommu_mode=1");
    if (ioctl(device->vfio.group_fd, VFIO_GROUP_SET_CONTAINER, &fd) < 0 ||
            ioctl(fd, VFIO_SET_IOMMU, type) < 0)
        return gc_fail(error, "cannot put %s into %s: %s%s", node,
                is_real ? "a type 1 container" : "no-IOMMU mode", strerror(errno),
                is_real && errno == EPERM ? ": the IOMMU does not remap interrupts (see the kernel log)"
                                          : "");
    return !is_real || gc_vfio_open_iova_space(device, error);
}

static bool open_group(struct gc_device *device, struct gc_error *error)
{
    char group[32], node[64];
    struct vfio_group_status status = {.argsz = sizeof(status)};
    if (!gc_sysfs_link(device, "iommu_group", group, sizeof(group)))
        return gc_fail(error,
                "%s is not in an IOMMU group: set vfio's enable_unsafe_noiommu_mode=1 before binding it",
                device->name);
    bool is_real = group_node(group, node);
    device->vfio.group_fd = open(node, O_RDWR | O_CLOEXEC);
    if (device->vfio.group_fd < 0)
        return gc_fail(error, "cannot open %s: %s%s", node, strerror(errno),
                errno == EBUSY   ? ": another program uses it"
                : errno == EPERM ? ": CAP_SYS_RAWIO is needed"
                                 : "");
    if (ioctl(device->vfio.group_fd, VFIO_GROUP_GET_STATUS, &status) < 0 ||
            !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return gc_fail(
                error, "VFIO group %s is not viable: all of its devices must be bound to VFIO drivers", node);
    return set_iommu(device, is_real, node, error);
}

void gc_vfio_close(struct gc_device *device)
{
    gc_vfio_close_iova_space(device);
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
    device->vfio.iova_space = NULL;
    if (open_container(device, error) && open_group(device, error)) {
        device->vfio.device_fd = ioctl(device->vfio.group_fd, VFIO_GROUP_GET_DEVICE_FD, device->name);
        if (device->vfio.device_fd >= 0)
            return true;
        gc_fail(error, "VFIO cannot open %s: %s", device->name, strerror(errno));
    }
    gc_vfio_close(device);
    return false;
}
