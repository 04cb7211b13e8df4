/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the back ends for platform devices: names and order of a device's register windows, and its only
 * interrupt.
 */
#ifndef GHOSTCARD_PLATFORM_H
#define GHOSTCARD_PLATFORM_H

#include "backend.h"

/* Size of a buffer for the names of all windows, one after the other. */
enum { GC_PLATFORM_NAMES_SIZE = 512 };

/* The names of the device's windows in the order of its resources, stored in `names`; 0: unknown. */
unsigned gc_platform_names(
        const struct gc_device *device, char names[GC_PLATFORM_NAMES_SIZE], const char *each[GC_MAX_WINDOWS]);

/* find_window for platform devices: the number of the resource with the place's name. */
bool gc_platform_find_window(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
        struct gc_error *error);

/* Fails for every interrupt mode but LINE. */
bool gc_platform_has_mode(const struct gc_device *device, enum gc_irq_mode mode, struct gc_error *error);

#endif
