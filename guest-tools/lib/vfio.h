/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the back ends for VFIO share. vfio_container.c: who may have the device. vfio_type1.c: which addresses
 * it sees, when they are not physical ones. vfio_device.c: its regions and interrupts, by their numbers.
 */
#ifndef GHOSTCARD_VFIO_H
#define GHOSTCARD_VFIO_H

#include "backend.h"

#include <linux/vfio.h>

/* Container, group and device descriptor; on failure nothing is left open. */
bool gc_vfio_open(struct gc_device *device, struct gc_error *error);
void gc_vfio_close(struct gc_device *device);

/* The addresses that can be mapped, of a container that is a type 1 one. */
bool gc_vfio_open_iova_space(struct gc_device *device, struct gc_error *error);
void gc_vfio_close_iova_space(struct gc_device *device);
bool gc_vfio_has_iommu(const struct gc_device *device);
bool gc_vfio_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error);
bool gc_vfio_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error);
/* Hugepages: mapped where there is an IOMMU, else by physical address. */
bool gc_vfio_dma_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_vfio_dma_free(struct gc_dma_buffer *buffer);

bool gc_vfio_region_info(const struct gc_device *device, unsigned region, struct vfio_region_info *info);
/* Sets size of `window`, which is that region, and its mapping if VFIO offers one. */
bool gc_vfio_open_region(
        struct gc_device *device, struct gc_window *window, unsigned region, struct gc_error *error);
/* One access to a region; offsets are the device descriptor's. */
bool gc_vfio_access(const struct gc_device *device, bool write, uint64_t offset, unsigned size, void *value);
bool gc_vfio_window_access(
        const struct gc_window *window, bool write, size_t offset, unsigned size, void *value);

/* Interrupts of number `irq` by eventfds, as many as *vectors, or one where there are no more. */
bool gc_vfio_irq_enable(
        struct gc_device *device, unsigned irq, unsigned *vectors, const char *name, struct gc_error *error);
void gc_vfio_irq_disable(struct gc_device *device, unsigned irq, unsigned vectors);
int gc_vfio_irq_fd(const struct gc_device *device, unsigned vector);
bool gc_vfio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error);
/* VFIO_IRQ_SET_ACTION_MASK or VFIO_IRQ_SET_ACTION_UNMASK. */
bool gc_vfio_irq_action(struct gc_device *device, unsigned irq, uint32_t action);

bool gc_vfio_reset(struct gc_device *device, struct gc_error *error);

#endif
