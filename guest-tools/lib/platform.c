/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a platform device's register windows. Neither vfio-platform nor uio_dmem_genirq shows them, and
 * all drivers number windows as the device's resources. The kernel module ghostcard lists the names in that
 * order in the attribute `reg_names`; a device of the device tree has them as its property `reg-names`.
 *
 * Models: docs/platform-devices.md; Devicetree Specification, 2.3.6 "reg", and Linux
 * Documentation/devicetree/bindings/resource-names.txt.
 */
#define _GNU_SOURCE
#include "platform.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_whole(const struct gc_device *device, const char *attribute, char *text, size_t size)
{
    char path[256];
    int fd = open(gc_sysfs_path(path, device, attribute), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, size);
    close(fd);
    return got;
}

unsigned gc_platform_names(
        const struct gc_device *device, char names[GC_PLATFORM_NAMES_SIZE], const char *each[GC_MAX_WINDOWS])
{
    const size_t room = GC_PLATFORM_NAMES_SIZE - 1;
    unsigned count = 0;
    ssize_t got = read_whole(device, "reg_names", names, room);
    if (got < 0)
        got = read_whole(device, "of_node/reg-names", names, room);
    size_t length = got > 0 ? (size_t)got : 0;
    names[length] = '\0';
    for (size_t at = 0; at < length && count < GC_MAX_WINDOWS; at += strlen(names + at) + 1) {
        names[at + strcspn(names + at, "\n")] = '\0';
        each[count++] = names + at;
    }
    return count;
}

bool gc_platform_find_window(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
        struct gc_error *error)
{
    char names[GC_PLATFORM_NAMES_SIZE], list[200] = "";
    const char *each[GC_MAX_WINDOWS];
    unsigned count = gc_platform_names(device, names, each);
    for (unsigned i = 0; i < count; i++) {
        if (place->name && strcmp(place->name, each[i]) == 0) {
            *index = i;
            return true;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", each[i]);
    }
    return gc_fail(error, "%s has no window '%.60s': its windows are %s", device->name,
            place->name ? place->name : "", count > 0 ? list : "not named in sysfs (reg_names)");
}
