/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for DMA by physical address: 2 MiB hugepages, which the kernel neither swaps nor moves once they are
 * locked, with their physical addresses from /proc/self/pagemap.
 *
 * Models: Linux Documentation/admin-guide/mm/pagemap.rst and hugetlbpage.rst.
 */
#define _GNU_SOURCE
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t HUGEPAGE_BYTES = GC_HUGEPAGE_BYTES;
static const char PAGEMAP[] = "/proc/self/pagemap";

/* pagemap entry: page frame number in bits 54 to 0 (0 without CAP_SYS_ADMIN), present in bit 63. */
static const uint64_t FRAME_MASK = (UINT64_C(1) << 55) - 1;
static const uint64_t PRESENT_MASK = UINT64_C(1) << 63;

static bool physical_address(int pagemap_fd, const void *location, uint64_t *address, struct gc_error *error)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), entry;
    off_t offset = (off_t)((uintptr_t)location / page_bytes * sizeof(entry));
    if (pread(pagemap_fd, &entry, sizeof(entry), offset) != sizeof(entry))
        return gc_fail(error, "cannot read the entry of %p in %s: %s", location, PAGEMAP, strerror(errno));
    if (!(entry & PRESENT_MASK) || (entry & FRAME_MASK) == 0)
        return gc_fail(error,
                "%s hides the physical address of %p (entry 0x%016llx): CAP_SYS_ADMIN is needed", PAGEMAP,
                location, (unsigned long long)entry);
    *address = (entry & FRAME_MASK) * page_bytes;
    return true;
}

bool gc_physical_address(const volatile void *location, uint64_t *address, struct gc_error *error)
{
    int fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open %s: %s", PAGEMAP, strerror(errno));
    bool known = physical_address(fd, (const void *)location, address, error);
    close(fd);
    return known;
}

/* One segment for each run of hugepages that are adjacent by chance. */
static bool find_segments(struct gc_dma_buffer *buffer, struct gc_error *error)
{
    size_t pages = buffer->size / HUGEPAGE_BYTES;
    buffer->segments = calloc(pages, sizeof(*buffer->segments));
    if (!buffer->segments)
        return gc_fail(error, "no memory for the list of %zu hugepages", pages);
    int fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open %s: %s", PAGEMAP, strerror(errno));
    bool known = true;
    for (size_t i = 0; known && i < pages; i++) {
        uint64_t address = 0;
        struct gc_dma_segment *last =
                buffer->segment_count > 0 ? &buffer->segments[buffer->segment_count - 1] : NULL;
        known = physical_address(fd, (const void *)(buffer->bytes + i * HUGEPAGE_BYTES), &address, error);
        if (known && last && last->address + last->size == address)
            last->size += HUGEPAGE_BYTES;
        else if (known)
            buffer->segments[buffer->segment_count++] = (struct gc_dma_segment){address, HUGEPAGE_BYTES};
    }
    close(fd);
    return known;
}

/* HugePages_Free in /proc/meminfo, which counts pages of the default size; 0 if it is unknown. */
static unsigned long free_hugepages(void)
{
    char line[128];
    unsigned long free_pages = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "HugePages_Free: %lu", &free_pages) == 1)
            break;
    if (file)
        fclose(file);
    return free_pages;
}

bool gc_hugepages_get(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    buffer->size = (size + HUGEPAGE_BYTES - 1) / HUGEPAGE_BYTES * HUGEPAGE_BYTES;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB | MAP_LOCKED | MAP_POPULATE;
    void *bytes = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (bytes == MAP_FAILED)
        return gc_fail(error,
                "cannot allocate %zu bytes of DMA memory in 2 MiB hugepages: %s; %lu are free: boot the "
                "guest "
                "with --hugepages N, or write more to /proc/sys/vm/nr_hugepages",
                size, strerror(errno), free_hugepages());
    buffer->bytes = bytes;
    madvise(bytes, buffer->size, MADV_DONTFORK); /* a fork must not replace the device's pages by copies */
    memset(bytes, 0, buffer->size);              /* every page is present and writable */
    return true;
}

/* A platform device has no IOMMU group. Its DMA is that of its parent, the card. */
bool gc_sees_physical_addresses(const struct gc_device *device, struct gc_error *error)
{
    char type[32];
    bool in_group = gc_sysfs_read(device, "iommu_group/type", type, sizeof(type)) ||
                    gc_sysfs_read(device, "../iommu_group/type", type, sizeof(type));
    if (!in_group || strncmp(type, "DMA", 3) != 0)
        return true;
    return gc_fail(error,
            "%s is behind an IOMMU (type %s), which refuses physical addresses, and %s cannot map "
            "memory in it: bind the card to vfio-pci, or start the guest without --iommu or with --append "
            "iommu.passthrough=1",
            device->name, type, device->ops->driver);
}

bool gc_hugepages_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    return gc_sees_physical_addresses(device, error) && gc_physical_alloc(buffer, size, error);
}

bool gc_physical_alloc(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error)
{
    *buffer = (struct gc_dma_buffer){0};
    if (!gc_hugepages_get(buffer, size, error))
        return false;
    if (find_segments(buffer, error))
        return true;
    gc_physical_free(buffer);
    return false;
}

void gc_physical_free(struct gc_dma_buffer *buffer)
{
    if (buffer->bytes)
        gc_hugepages_free(buffer);
    *buffer = (struct gc_dma_buffer){0};
}

void gc_hugepages_free(struct gc_dma_buffer *buffer)
{
    munmap((void *)buffer->bytes, buffer->size);
    free(buffer->segments);
}
