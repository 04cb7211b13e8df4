/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory behind an IOMMU: VFIO's type 1 container maps it at I/O virtual addresses (IOVAs) that this file
 * chooses, and the device can reach nothing else.
 *
 * Models: Linux include/uapi/linux/vfio.h (VFIO_IOMMU_*), drivers/vfio/vfio_iommu_type1.c. The container
 * reports which addresses exist: the IOMMU's width, without reserved ranges such as the window of MSI
 * messages.
 */
#define _GNU_SOURCE
#include "vfio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Nothing is mapped at low addresses, so that a device that takes a small number for an address is caught. */
static const uint64_t LOWEST = UINT64_C(16) << 20;
/* Left free after each range, so that a device that overruns a buffer is caught. */
static const uint64_t GAP = GC_HUGEPAGE_BYTES;
static const uint64_t ALIGNMENT = GC_HUGEPAGE_BYTES;

struct iova_range {
    uint64_t start, end; /* end: one past the last */
    struct iova_range *next;
};

struct gc_iova_space {
    size_t usable_count;
    struct vfio_iova_range *usable; /* with inclusive ends */
    struct iova_range *taken;       /* sorted */
};

/* The capability with this id in `info`; NULL: not present. */
static const struct vfio_info_cap_header *find_capability(
        const struct vfio_iommu_type1_info *info, uint16_t id)
{
    uint32_t offset = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
    while (offset >= sizeof(*info) && offset + sizeof(struct vfio_info_cap_header) <= info->argsz) {
        const struct vfio_info_cap_header *header = (const void *)((const uint8_t *)info + offset);
        if (header->id == id)
            return header;
        offset = header->next;
    }
    return NULL;
}

/* The container's information, to be freed. NULL with errno on failure. */
static struct vfio_iommu_type1_info *container_info(int container_fd)
{
    struct vfio_iommu_type1_info head = {.argsz = sizeof(head)};
    if (ioctl(container_fd, VFIO_IOMMU_GET_INFO, &head) < 0)
        return NULL;
    uint32_t size = head.argsz;
    struct vfio_iommu_type1_info *info = calloc(1, size);
    if (info)
        info->argsz = size;
    if (info && ioctl(container_fd, VFIO_IOMMU_GET_INFO, info) == 0)
        return info;
    free(info);
    return NULL;
}

bool gc_vfio_open_iova_space(struct gc_device *device, struct gc_error *error)
{
    struct vfio_iommu_type1_info *info = container_info(device->vfio.container_fd);
    const struct vfio_iommu_type1_info_cap_iova_range *ranges =
            info ? (const void *)find_capability(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) : NULL;
    size_t bytes = ranges ? ranges->nr_iovas * sizeof(ranges->iova_ranges[0]) : 0;
    struct gc_iova_space *space = bytes > 0 ? calloc(1, sizeof(*space)) : NULL;
    struct vfio_iova_range *usable = bytes > 0 ? malloc(bytes) : NULL;
    bool done = space && usable;
    if (done) {
        memcpy(usable, ranges->iova_ranges, bytes);
        *space = (struct gc_iova_space){.usable_count = ranges->nr_iovas, .usable = usable};
        device->vfio.iova_space = space;
    } else {
        gc_fail(error, "cannot get the usable IOVAs of %s from VFIO: %s", device->name,
                info ? "it has no list of them" : strerror(errno));
        free(space);
        free(usable);
    }
    free(info);
    return done;
}

void gc_vfio_close_iova_space(struct gc_device *device)
{
    struct gc_iova_space *space = device->vfio.iova_space;
    if (!space)
        return;
    for (struct iova_range *range = space->taken, *next; range; range = next) {
        next = range->next;
        free(range);
    }
    free(space->usable);
    free(space);
    device->vfio.iova_space = NULL;
}

static uint64_t align(uint64_t address)
{
    return (address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* First fit: `*link` is the place for a range of `size` bytes at `*start`. False: there is no room. */
static bool find_room(struct gc_iova_space *space, uint64_t size, uint64_t *start, struct iova_range ***link)
{
    for (size_t i = 0; i < space->usable_count; i++) {
        const struct vfio_iova_range *usable = &space->usable[i];
        uint64_t at = align(usable->start > LOWEST ? usable->start : LOWEST);
        *link = &space->taken;
        for (struct iova_range *range = space->taken; range; range = range->next) {
            if (range->end + GAP <= at) {
                *link = &range->next;
                continue;
            }
            if (at + size + GAP <= range->start)
                break;
            at = align(range->end + GAP);
            *link = &range->next;
        }
        if (at <= usable->end && size - 1 <= usable->end - at) {
            *start = at;
            return true;
        }
    }
    return false;
}

bool gc_iova_alloc(struct gc_device *device, size_t size, uint64_t *address, struct gc_error *error)
{
    struct iova_range **link, *range;
    if (!gc_has_iommu(device))
        return gc_fail(error,
                "cannot allocate IOVAs for %s: it is not behind an IOMMU that %s can map memory in",
                device->name, device->ops->driver);
    if (size == 0 || !find_room(device->vfio.iova_space, size, address, &link))
        return gc_fail(error, "cannot allocate %zu bytes of IOVAs for %s: none are free; free other buffers",
                size, device->name);
    range = malloc(sizeof(*range));
    if (!range)
        return gc_fail(error, "no memory to record %zu bytes of IOVAs", size);
    *range = (struct iova_range){.start = *address, .end = *address + size, .next = *link};
    *link = range;
    return true;
}

void gc_iova_free(struct gc_device *device, uint64_t address)
{
    struct gc_iova_space *space = gc_has_iommu(device) ? device->vfio.iova_space : NULL;
    for (struct iova_range **link = space ? &space->taken : NULL; link && *link; link = &(*link)->next) {
        struct iova_range *range = *link;
        if (range->start != address)
            continue;
        *link = range->next;
        free(range);
        return;
    }
}

bool gc_vfio_has_iommu(const struct gc_device *device)
{
    return device->vfio.iova_space != NULL;
}

bool gc_vfio_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error)
{
    struct vfio_iommu_type1_dma_map request = {
            .argsz = sizeof(request),
            .flags = VFIO_DMA_MAP_FLAG_READ | (mapping->read_only ? 0 : VFIO_DMA_MAP_FLAG_WRITE),
            .vaddr = (uintptr_t)mapping->bytes,
            .iova = mapping->address,
            .size = mapping->size,
    };
    if (ioctl(device->vfio.container_fd, VFIO_IOMMU_MAP_DMA, &request) == 0)
        return true;
    return gc_fail(error, "VFIO cannot map %zu bytes for %s at 0x%llx: %s%s", mapping->size, device->name,
            (unsigned long long)mapping->address, strerror(errno),
            errno == ENOSPC   ? ": the limit of mappings (dma_entry_limit of vfio_iommu_type1)"
            : errno == ENOMEM ? ": the limit of locked memory (ulimit -l)"
            : errno == EEXIST ? ": something is already mapped there"
            : errno == EINVAL ? ": size and addresses must be multiples of the page size, and the IOVA usable"
                              : "");
}

bool gc_vfio_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error)
{
    struct vfio_iommu_type1_dma_unmap request = {.argsz = sizeof(request), .iova = address, .size = size};
    if (ioctl(device->vfio.container_fd, VFIO_IOMMU_UNMAP_DMA, &request) == 0)
        return true;
    return gc_fail(error, "VFIO cannot unmap %zu bytes of %s at 0x%llx: %s%s", size, device->name,
            (unsigned long long)address, strerror(errno),
            errno == EINVAL ? ": that would split a mapping" : "");
}

/* A single contiguous range for the device, wherever the hugepages are. */
static bool map_buffer(struct gc_device *device, struct gc_dma_buffer *buffer, struct gc_error *error)
{
    struct gc_dma_mapping mapping = {.bytes = buffer->bytes, .size = buffer->size};
    buffer->segments = calloc(1, sizeof(*buffer->segments));
    if (!buffer->segments)
        return gc_fail(error, "no memory to record the mapping of %zu bytes", buffer->size);
    if (!gc_iova_alloc(device, buffer->size, &mapping.address, error))
        return false;
    if (!gc_vfio_dma_map(device, &mapping, error)) {
        gc_iova_free(device, mapping.address);
        return false;
    }
    buffer->segment_count = 1;
    buffer->segments[0] = (struct gc_dma_segment){mapping.address, buffer->size};
    return true;
}

bool gc_vfio_dma_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    if (!gc_vfio_has_iommu(device))
        return gc_hugepages_alloc(device, buffer, size, error);
    if (!gc_hugepages_get(buffer, size, error))
        return false;
    if (map_buffer(device, buffer, error))
        return true;
    gc_hugepages_free(buffer);
    return false;
}

void gc_vfio_dma_free(struct gc_dma_buffer *buffer)
{
    struct gc_device *device = buffer->device;
    if (gc_vfio_has_iommu(device)) {
        gc_vfio_dma_unmap(device, buffer->segments[0].address, buffer->size, NULL);
        gc_iova_free(device, buffer->segments[0].address);
    }
    gc_hugepages_free(buffer);
}
