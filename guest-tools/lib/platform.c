/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a platform device's register windows, and its only interrupt. Neither vfio-platform nor
 * uio_dmem_genirq shows the names, and all drivers number windows in the order of the device's resources. The
 * kernel module ghostcard lists the names in that order in the attribute `reg_names`; a device of a device
 * tree has them in its property `reg-names`.
 *
 * Models: docs/platform-devices.md; Devicetree Specification, 2.3.6 "reg", and Linux
 * Documentation/devicetree/bindings/resource-names.txt.
 */
#include "platform.h"

#include <stdio.h>
#include <string.h>

unsigned gc_platform_names(
        const struct gc_device *device, char names[GC_PLATFORM_NAMES_SIZE], const char *each[GC_MAX_WINDOWS])
{
    unsigned count = 0;
    size_t length = gc_sysfs_read_all(device, "reg_names", names, GC_PLATFORM_NAMES_SIZE);
    if (length == 0)
        length = gc_sysfs_read_all(device, "of_node/reg-names", names, GC_PLATFORM_NAMES_SIZE);
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

bool gc_platform_has_mode(const struct gc_device *device, enum gc_irq_mode mode, struct gc_error *error)
{
    return mode == GC_IRQ_LINE ||
           gc_fail(error,
                   "cannot enable interrupt mode %s of %s: a platform device has one interrupt, of mode line",
                   gc_irq_mode_name(mode), device->name);
}
