/* SPDX-License-Identifier: Apache-2.0 */
/* DMA buffers out of memory that the kernel owns: the maps of uio_dmem_genirq. */
#ifndef GHOSTCARD_DMEM_H
#define GHOSTCARD_DMEM_H

#include "backend.h"

/* Maps what lies beyond the `windows` first maps of a UIO device whose node is open. */
bool gc_dmem_open(struct gc_device *device, unsigned windows, struct gc_error *error);
void gc_dmem_close(struct gc_device *device);

bool gc_dmem_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_dmem_free(struct gc_dma_buffer *buffer);
size_t gc_dmem_limit(const struct gc_device *device);

#endif
