/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node /dev/uioN and its interrupts: read() returns the number of interrupts since the driver was bound,
 * and blocks (or is not readable for poll) until it differs from the last number that was read.
 *
 * Models: Linux Documentation/driver-api/uio-howto.rst, drivers/uio/uio.c.
 */
#define _GNU_SOURCE
#include "uio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Number N of the device's /dev/uioN, from the only folder below its `uio`; -1 if there is none. */
static int uio_number(const struct gc_device *device)
{
    char path[256];
    int number = -1;
    DIR *folder = opendir(gc_sysfs_path(path, device, "uio"));
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (sscanf(entry->d_name, "uio%d", &number) == 1)
            break;
    if (folder)
        closedir(folder);
    return number;
}

bool gc_uio_open(struct gc_device *device, struct gc_error *error)
{
    char node[32];
    device->uio.number = uio_number(device);
    if (device->uio.number < 0)
        return gc_fail(error, "%s is bound to %s but has no uio folder in sysfs: see the kernel log",
                device->name, device->ops->driver);
    snprintf(node, sizeof(node), "/dev/uio%d", device->uio.number);
    device->uio.fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return device->uio.fd >= 0 || gc_fail(error, "cannot open %s: %s%s", node, strerror(errno),
                                          errno == EACCES ? ": root is needed" : "");
}

bool gc_uio_map(
        struct gc_window *window, int fd, size_t size, off_t offset, const char *what, struct gc_error *error)
{
    void *mapped = size > 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset) : MAP_FAILED;
    if (mapped == MAP_FAILED)
        return gc_fail(error, "cannot map %zu bytes of %s: %s", size, what, strerror(errno));
    window->size = size;
    window->mapped = mapped;
    return true;
}

bool gc_uio_map_text(
        const struct gc_device *device, unsigned map, const char *attribute, char text[GC_NAME_SIZE])
{
    char path[96];
    snprintf(path, sizeof(path), "uio/uio%d/maps/map%u/%s", device->uio.number, map, attribute);
    return gc_sysfs_read(device, path, text, GC_NAME_SIZE);
}

bool gc_uio_map_number(const struct gc_device *device, unsigned map, const char *attribute, uint64_t *number)
{
    char text[GC_NAME_SIZE];
    if (!gc_uio_map_text(device, map, attribute, text))
        return false;
    *number = strtoull(text, NULL, 0);
    return true;
}

/*
 * Map N is at offset N pages of the node. Whole pages are mapped; `offset` is where the window starts in the
 * first one.
 */
bool gc_uio_open_map(struct gc_device *device, unsigned map, struct gc_window *window, struct gc_error *error)
{
    uint64_t size, offset;
    char what[GC_NAME_SIZE + 16];
    snprintf(what, sizeof(what), "map%u of %s", map, device->name);
    if (!gc_uio_map_number(device, map, "size", &size) || !gc_uio_map_number(device, map, "offset", &offset))
        return gc_fail(error, "there is no %s in sysfs", what);
    if (offset >= size)
        return gc_fail(error, "%s starts at offset 0x%llx of its 0x%llx bytes", what,
                (unsigned long long)offset, (unsigned long long)size);
    if (!gc_uio_map(window, device->uio.fd, (size_t)size, (off_t)map * sysconf(_SC_PAGESIZE), what, error))
        return false;
    window->mapped += offset;
    window->size -= (size_t)offset;
    return true;
}

/* The kernel's total; EAGAIN if there was no interrupt since the last read. */
static bool read_events(struct gc_device *device, uint32_t *events)
{
    return read(device->uio.fd, events, sizeof(*events)) == sizeof(*events);
}

/* sysfs has the number of earlier interrupts. */
bool gc_uio_start_counting(struct gc_device *device, struct gc_error *error)
{
    char attribute[48], text[32];
    read_events(device, &device->uio.events);
    snprintf(attribute, sizeof(attribute), "uio/uio%d/event", device->uio.number);
    if (!gc_sysfs_read(device, attribute, text, sizeof(text)))
        return gc_fail(error, "cannot read %s of %s in sysfs", attribute, device->name);
    device->uio.events = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

int gc_uio_irq_fd(const struct gc_device *device, unsigned vector)
{
    (void)vector;
    return device->uio.fd;
}

bool gc_uio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error)
{
    uint32_t events;
    (void)vector;
    if (!read_events(device, &events))
        return errno == EAGAIN ||
               gc_fail(error, "cannot read the interrupt count of %s: %s", device->name, strerror(errno));
    *taken = events - device->uio.events;
    device->uio.events = events;
    return true;
}
