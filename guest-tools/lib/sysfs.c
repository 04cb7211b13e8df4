/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux tells about PCI devices in /sys/bus/pci/devices.
 * Models: Linux Documentation/ABI/testing/sysfs-bus-pci.
 */
#define _GNU_SOURCE
#include "backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char DEVICES[] = "/sys/bus/pci/devices";

const char *gc_sysfs_path(char path[256], const char *address, const char *attribute)
{
    snprintf(path, 256, "%s/%s/%s", DEVICES, address, attribute);
    return path;
}

bool gc_sysfs_read(const char *address, const char *attribute, char *text, size_t size)
{
    char path[256];
    int fd = open(gc_sysfs_path(path, address, attribute), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        return false;
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

bool gc_sysfs_link(const char *address, const char *attribute, char *name, size_t size)
{
    char path[256], target[PATH_MAX];
    ssize_t got = readlink(gc_sysfs_path(path, address, attribute), target, sizeof(target) - 1);
    if (got <= 0)
        return false;
    target[got] = '\0';
    snprintf(name, size, "%s", basename(target));
    return true;
}

static bool has_id(const char *address, const char *attribute, uint16_t id)
{
    char text[32];
    return gc_sysfs_read(address, attribute, text, sizeof(text)) && strtoul(text, NULL, 16) == id;
}

bool gc_find(uint16_t vendor, uint16_t device, char address[GC_PCI_ADDRESS_SIZE], struct gc_error *error)
{
    struct dirent **entries;
    int count = scandir(DEVICES, &entries, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (!found && name[0] != '.' && has_id(name, "vendor", vendor) && has_id(name, "device", device)) {
            snprintf(address, GC_PCI_ADDRESS_SIZE, "%.15s", name);
            found = true;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return found || gc_fail(error, "no PCI device %04x:%04x among the %d in %s: is the card plugged in?",
                            vendor, device, count > 2 ? count - 2 : 0, DEVICES);
}
