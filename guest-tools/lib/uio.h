/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the back ends for UIO. uio.c: the node /dev/uioN, its maps and its interrupts. dmem.c: DMA
 * buffers in memory that the kernel owns, the maps of uio_dmem_genirq.
 */
#ifndef GHOSTCARD_UIO_H
#define GHOSTCARD_UIO_H

#include "backend.h"

#include <sys/types.h>

/* Opens the device's /dev/uioN. */
bool gc_uio_open(struct gc_device *device, struct gc_error *error);

/* Maps all of `fd` from `offset` on as `window`. */
bool gc_uio_map(struct gc_window *window, int fd, size_t size, off_t offset, const char *what,
        struct gc_error *error);

/* An attribute of map N of the device, as text and as a number. False: there is no such map. */
bool gc_uio_map_text(
        const struct gc_device *device, unsigned map, const char *attribute, char text[GC_NAME_SIZE]);
bool gc_uio_map_number(const struct gc_device *device, unsigned map, const char *attribute, uint64_t *number);
/* Maps that map of /dev/uioN as `window`. */
bool gc_uio_open_map(
        struct gc_device *device, unsigned map, struct gc_window *window, struct gc_error *error);

/* Counts interrupts from now on, without earlier ones. */
bool gc_uio_start_counting(struct gc_device *device, struct gc_error *error);
int gc_uio_irq_fd(const struct gc_device *device, unsigned vector);
bool gc_uio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error);

/* Maps what follows the first `windows` maps of a UIO device whose node is open. */
bool gc_dmem_open(struct gc_device *device, unsigned windows, struct gc_error *error);
void gc_dmem_close(struct gc_device *device);
bool gc_dmem_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_dmem_free(struct gc_dma_buffer *buffer);
size_t gc_dmem_limit(const struct gc_device *device);

#endif
