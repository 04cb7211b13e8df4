/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA buffers of all back ends: accesses that suit every kind of mapping, contiguous parts, and
 * synchronisation for devices that need it.
 *
 * Models: Arm Architecture Reference Manual for A-profile (DDI 0487), B2.7 "Device memory": unaligned
 * accesses fault, and so does DC ZVA, which the C library uses to clear memory. Linux
 * Documentation/core-api/dma-api-howto.rst, "Using Streaming DMA mappings", for the sync calls.
 */
#include "backend.h"

#include <string.h>

void gc_dma_set_mask(struct gc_device *device, unsigned address_bits)
{
    device->dma_mask = address_bits < 64 ? (UINT64_C(1) << address_bits) - 1 : UINT64_MAX;
}

static bool is_within_mask(const struct gc_dma_buffer *buffer)
{
    for (size_t i = 0; i < buffer->segment_count; i++) {
        if (buffer->segments[i].address + (buffer->segments[i].size - 1) > buffer->device->dma_mask)
            return false;
    }
    return true;
}

/* A buffer beyond the mask is kept until there is one within it, or else it would be allocated again. */
static bool alloc_within_mask(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    *buffer = (struct gc_dma_buffer){0};
    if (!device->ops->dma_alloc(device, buffer, size, error)) {
        *buffer = (struct gc_dma_buffer){0};
        return false;
    }
    buffer->device = device;
    if (is_within_mask(buffer))
        return true;
    struct gc_dma_buffer beyond = *buffer;
    bool allocated =
            alloc_within_mask(device, buffer, size, error) ||
            gc_fail(error,
                    "DMA memory for %s is at 0x%llx, and none is left up to 0x%llx, the last address that it "
                    "reaches: reserve enough hugepages that some are below (--hugepages), give the guest "
                    "less memory, or let the kernel allocate (uio_dmem_genirq)",
                    device->name, (unsigned long long)gc_dma_address(&beyond, 0),
                    (unsigned long long)device->dma_mask);
    gc_dma_free(&beyond);
    return allocated;
}

bool gc_dma_alloc(struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    if (size > 0)
        return alloc_within_mask(device, buffer, size, error);
    *buffer = (struct gc_dma_buffer){0};
    return gc_fail(
            error, "cannot allocate a DMA buffer of 0 bytes for %s: it must have at least one", device->name);
}

void gc_dma_free(struct gc_dma_buffer *buffer)
{
    if (buffer->bytes)
        buffer->device->ops->dma_free(buffer);
    *buffer = (struct gc_dma_buffer){0};
}

size_t gc_dma_limit(const struct gc_device *device)
{
    return device->ops->dma_limit ? device->ops->dma_limit(device) : SIZE_MAX;
}

bool gc_has_iommu(const struct gc_device *device)
{
    return device->ops->has_iommu && device->ops->has_iommu(device);
}

bool gc_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error)
{
    if (gc_has_iommu(device))
        return device->ops->dma_map(device, mapping, error);
    return gc_fail(error, "cannot map %zu bytes for %s: it is not behind an IOMMU that %s can map memory in",
            mapping->size, device->name, device->ops->driver);
}

bool gc_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error)
{
    if (gc_has_iommu(device))
        return device->ops->dma_unmap(device, address, size, error);
    return gc_fail(error, "cannot unmap %zu bytes of %s: it is not behind an IOMMU", size, device->name);
}

struct gc_dma_segment gc_dma_segment_at(const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    const struct gc_dma_segment *segment = buffer->segments;
    while (offset >= segment->size)
        offset -= segment++->size;
    size_t left = segment->size - offset;
    return (struct gc_dma_segment){segment->address + offset, size < left ? size : left};
}

uint64_t gc_dma_address(const struct gc_dma_buffer *buffer, size_t offset)
{
    return gc_dma_segment_at(buffer, offset, 1).address;
}

/* ---------------------------------------------------------------------------------------------- accesses */

/*
 * Number of bytes that one aligned access at `offset` can move: 8, or 1 before the first and after the last
 * word.
 */
static size_t step(const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    return ((uintptr_t)buffer->bytes + offset) % sizeof(uint64_t) == 0 && size >= sizeof(uint64_t)
                   ? sizeof(uint64_t)
                   : 1;
}

static volatile uint64_t *word_at(const struct gc_dma_buffer *buffer, size_t offset)
{
    return (volatile uint64_t *)(buffer->bytes + offset);
}

void gc_dma_write(const struct gc_dma_buffer *buffer, size_t offset, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t moved; size > 0; offset += moved, from += moved, size -= moved) {
        moved = step(buffer, offset, size);
        uint64_t word;
        if (moved == 1) {
            buffer->bytes[offset] = *from;
        } else {
            memcpy(&word, from, sizeof(word)); /* ordinary memory, aligned or not */
            *word_at(buffer, offset) = word;
        }
    }
}

void gc_dma_read(const struct gc_dma_buffer *buffer, size_t offset, void *bytes, size_t size)
{
    uint8_t *to = bytes;
    for (size_t moved; size > 0; offset += moved, to += moved, size -= moved) {
        moved = step(buffer, offset, size);
        if (moved == 1) {
            *to = buffer->bytes[offset];
        } else {
            uint64_t word = *word_at(buffer, offset);
            memcpy(to, &word, sizeof(word));
        }
    }
}

void gc_dma_fill(const struct gc_dma_buffer *buffer, size_t offset, uint8_t value, size_t size)
{
    const uint64_t word = value * UINT64_C(0x0101010101010101);
    for (size_t moved; size > 0; offset += moved, size -= moved) {
        moved = step(buffer, offset, size);
        if (moved == 1)
            buffer->bytes[offset] = value;
        else
            *word_at(buffer, offset) = word;
    }
}

/* --------------------------------------------------------------------------------------- synchronisation */

void gc_dma_set_sync(struct gc_device *device, gc_dma_sync *sync, void *context)
{
    device->sync = sync;
    device->sync_context = context;
}

static void sync_parts(
        const struct gc_dma_buffer *buffer, enum gc_dma_direction direction, size_t offset, size_t size)
{
    struct gc_device *device = buffer->device;
    while (device->sync && size > 0) {
        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset, size);
        device->sync(device->sync_context, direction, part);
        offset += part.size;
        size -= part.size;
    }
}

void gc_dma_sync_for_device(const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    sync_parts(buffer, GC_DMA_FOR_DEVICE, offset, size);
}

void gc_dma_sync_for_cpu(const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    sync_parts(buffer, GC_DMA_FOR_CPU, offset, size);
}
