/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA buffers in memory that the kernel owns. uio_dmem_genirq allocates the regions that a device asks for
 * when its node is opened, frees them at the last close, and shows each as a UIO map after the register
 * windows, with the address that the device must use. This file allocates runs of pages in them.
 *
 * UIO maps them uncached, which on arm64 is Device memory: hence the accesses in dma.c.
 *
 * Models: Linux drivers/uio/uio_dmem_genirq.c, Documentation/driver-api/uio-howto.rst ("Using uio_dmem_genirq
 * for platform devices"). Since Linux 6.9 the attribute `addr` of such a map is a kernel address; the
 * device's is then in `dma_addresses`, which the kernel module ghostcard adds (guest-tools/modules).
 */
#define _GNU_SOURCE
#include "uio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What `addr` shows if the allocation failed. */
static const uint64_t NO_MEMORY = UINT64_MAX;
/* Physical addresses are below this, kernel addresses above. */
static const uint64_t KERNEL_ADDRESSES = UINT64_C(1) << 63;

struct region {
    volatile uint8_t *bytes;
    uint64_t address;
    size_t size, pages;
    bool *taken; /* for each page */
};

struct gc_dmem {
    size_t page_bytes;
    unsigned count;
    struct region regions[GC_MAX_WINDOWS];
};

/* Line `number` of dma_addresses, which the kernel module ghostcard adds to its platform devices. */
static bool read_dma_address(const struct gc_device *device, unsigned number, uint64_t *address)
{
    char text[256];
    if (gc_sysfs_read_all(device, "dma_addresses", text, sizeof(text)) == 0)
        return false;
    char *line = text;
    for (; number > 0 && line; number--) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    *address = line && *line ? strtoull(line, NULL, 0) : NO_MEMORY;
    return *address != NO_MEMORY;
}

static bool open_region(struct gc_device *device, unsigned map, unsigned number, struct region *region,
        struct gc_error *error)
{
    struct gc_window window = {0};
    char what[GC_NAME_SIZE + 32];
    snprintf(what, sizeof(what), "DMA buffer map%u of %s", map, device->name);
    if (!gc_uio_map_number(device, map, "addr", &region->address) || region->address == NO_MEMORY)
        return gc_fail(error,
                "the kernel had no memory for %s: it needs contiguous memory below the device's "
                "DMA mask; boot the guest with more memory, or with cma=",
                what);
    if (region->address >= KERNEL_ADDRESSES && !read_dma_address(device, number, &region->address))
        return gc_fail(error,
                "%s shows 0x%llx, which is a kernel address: uio_dmem_genirq of Linux 6.9 and later does not "
                "show which address the device must use, and the attribute dma_addresses of the kernel "
                "module "
                "ghostcard is missing; boot an older kernel",
                what, (unsigned long long)region->address);
    if (!gc_uio_open_map(device, map, &window, error))
        return false;
    region->bytes = window.mapped;
    region->size = window.size;
    return true;
}

bool gc_dmem_open(struct gc_device *device, unsigned windows, struct gc_error *error)
{
    struct gc_dmem *dmem = device->uio.dmem = calloc(1, sizeof(*dmem));
    uint64_t size;
    if (!dmem)
        return gc_fail(error, "no memory for the list of DMA buffers of %s", device->name);
    dmem->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned map = windows; map < GC_MAX_WINDOWS && gc_uio_map_number(device, map, "size", &size);
            map++) {
        struct region *region = &dmem->regions[dmem->count];
        if (!open_region(device, map, dmem->count, region, error)) {
            gc_dmem_close(device);
            return false;
        }
        dmem->count++;
        region->pages = region->size / dmem->page_bytes;
        region->taken = calloc(region->pages, sizeof(*region->taken));
        if (!region->taken) {
            gc_dmem_close(device);
            return gc_fail(error, "no memory for the list of %zu pages of %s", region->pages, device->name);
        }
    }
    return true;
}

void gc_dmem_close(struct gc_device *device)
{
    struct gc_dmem *dmem = device->uio.dmem;
    for (unsigned i = 0; dmem && i < dmem->count; i++) {
        munmap((void *)dmem->regions[i].bytes, dmem->regions[i].size);
        free(dmem->regions[i].taken);
    }
    free(dmem);
    device->uio.dmem = NULL;
}

/* Length of the run of free pages that starts at `first`. */
static size_t free_run(const struct region *region, size_t first)
{
    size_t last = first;
    while (last < region->pages && !region->taken[last])
        last++;
    return last - first;
}

/* The first run of at least `pages` pages, or with 0 the longest run. False: there is none. */
static bool find_run(const struct region *region, size_t pages, size_t *first, size_t *length)
{
    *length = 0;
    for (size_t at = 0, run; at < region->pages; at += run + 1) {
        run = free_run(region, at);
        if (run > *length) {
            *first = at;
            *length = run;
            if (pages > 0 && run >= pages)
                break;
        }
    }
    return *length > 0 && *length >= pages;
}

static void set_taken(struct region *region, size_t first, size_t pages, bool taken)
{
    for (size_t i = 0; i < pages; i++)
        region->taken[first + i] = taken;
}

/* The smallest region with room, so that small buffers leave large regions free. */
static struct region *best_region(struct gc_dmem *dmem, size_t pages, size_t *first)
{
    struct region *best = NULL;
    size_t at, length;
    for (unsigned i = 0; i < dmem->count; i++) {
        struct region *region = &dmem->regions[i];
        if ((best && best->size <= region->size) || !find_run(region, pages, &at, &length))
            continue;
        best = region;
        *first = at;
    }
    return best;
}

bool gc_dmem_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    struct gc_dmem *dmem = device->uio.dmem;
    size_t pages = (size - 1) / dmem->page_bytes + 1, first = 0;
    if (!gc_sees_physical_addresses(device, error))
        return false;
    struct region *region = best_region(dmem, pages, &first);
    if (!region)
        return gc_fail(error,
                "cannot allocate %zu bytes of DMA memory for %s: the kernel owns %u buffers for it, with %zu "
                "bytes free in one piece; the device declares their sizes (dmaBuffers of a card)",
                size, device->name, dmem->count, gc_dmem_limit(device));
    buffer->segments = calloc(1, sizeof(*buffer->segments));
    if (!buffer->segments)
        return gc_fail(error, "no memory for a DMA buffer of %s", device->name);
    size_t offset = first * dmem->page_bytes;
    set_taken(region, first, pages, true);
    buffer->bytes = region->bytes + offset;
    buffer->size = pages * dmem->page_bytes;
    buffer->segment_count = 1;
    buffer->segments[0] = (struct gc_dma_segment){region->address + offset, buffer->size};
    gc_dma_fill(buffer, 0, 0, buffer->size);
    return true;
}

void gc_dmem_free(struct gc_dma_buffer *buffer)
{
    struct gc_dmem *dmem = buffer->device->uio.dmem;
    for (unsigned i = 0; i < dmem->count; i++) {
        struct region *region = &dmem->regions[i];
        uintptr_t offset = (uintptr_t)buffer->bytes - (uintptr_t)region->bytes;
        if (offset < region->size)
            set_taken(region, offset / dmem->page_bytes, buffer->size / dmem->page_bytes, false);
    }
    free(buffer->segments);
}

size_t gc_dmem_limit(const struct gc_device *device)
{
    const struct gc_dmem *dmem = device->uio.dmem;
    size_t limit = 0, first, length;
    for (unsigned i = 0; i < dmem->count; i++) {
        if (find_run(&dmem->regions[i], 0, &first, &length) && length * dmem->page_bytes > limit)
            limit = length * dmem->page_bytes;
    }
    return limit;
}
