/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux shows of devices in /sys/bus/pci/devices and /sys/bus/platform/devices. Models: Linux
 * Documentation/ABI/testing/sysfs-bus-pci and sysfs-bus-platform.
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

static const char PCI_DEVICES[] = "/sys/bus/pci/devices";

const char *gc_sysfs_path(char path[256], const struct gc_device *device, const char *attribute)
{
    snprintf(path, 256, "/sys/bus/%s/devices/%s/%s", device->bus, device->name, attribute);
    return path;
}

const char *gc_sysfs_bus(const char *name)
{
    static const char *const BUSES[] = {"pci", "platform"};
    for (size_t i = 0; i < sizeof(BUSES) / sizeof(BUSES[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "/sys/bus/%s/devices/%.100s", BUSES[i], name);
        if (*name != '\0' && *name != '.' && !strchr(name, '/') && access(path, F_OK) == 0)
            return BUSES[i];
    }
    return NULL;
}

/* -1: it cannot be read. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static bool read_line(const char *path, char *text, size_t size)
{
    if (read_file(path, text, size) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return true;
}

size_t gc_sysfs_read_all(const struct gc_device *device, const char *attribute, char *text, size_t size)
{
    char path[256];
    ssize_t got = read_file(gc_sysfs_path(path, device, attribute), text, size);
    return got > 0 ? (size_t)got : 0;
}

bool gc_sysfs_read(const struct gc_device *device, const char *attribute, char *text, size_t size)
{
    char path[256];
    return read_line(gc_sysfs_path(path, device, attribute), text, size);
}

bool gc_sysfs_link(const struct gc_device *device, const char *attribute, char *name, size_t size)
{
    char path[256], target[PATH_MAX];
    ssize_t got = readlink(gc_sysfs_path(path, device, attribute), target, sizeof(target) - 1);
    if (got <= 0)
        return false;
    target[got] = '\0';
    snprintf(name, size, "%s", basename(target));
    return true;
}

static bool has_id(const char *address, const char *attribute, uint16_t id)
{
    char path[256], text[32];
    snprintf(path, sizeof(path), "%s/%.100s/%s", PCI_DEVICES, address, attribute);
    return read_line(path, text, sizeof(text)) && strtoul(text, NULL, 16) == id;
}

bool gc_find(uint16_t vendor, uint16_t device, char name[GC_NAME_SIZE], struct gc_error *error)
{
    struct dirent **entries;
    int count = scandir(PCI_DEVICES, &entries, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < count; i++) {
        const char *entry = entries[i]->d_name;
        if (!found && entry[0] != '.' && has_id(entry, "vendor", vendor) && has_id(entry, "device", device)) {
            snprintf(name, GC_NAME_SIZE, "%.*s", GC_NAME_SIZE - 1, entry);
            found = true;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return found || gc_fail(error, "no PCI device %04x:%04x among the %d in %s: is the card plugged in?",
                            vendor, device, count > 2 ? count - 2 : 0, PCI_DEVICES);
}
