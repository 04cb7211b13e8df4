/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the back ends for VFIO. vfio_container.c: container and group. vfio_type1.c: the device's
 * addresses (IOVAs) behind an IOMMU. vfio_device.c: regions and interrupts, by their numbers.
 */
#ifndef GHOSTCARD_VFIO_H
#define GHOSTCARD_VFIO_H

#include "backend.h"

#include <linux/vfio.h>

/* Opens container, group and device. On failure nothing is left open. */
bool gc_vfio_open(struct gc_device *device, struct gc_error *error);
void gc_vfio_close(struct gc_device *device);

/* The IOVA space of a container of type 1. */
bool gc_vfio_open_iova_space(struct gc_device *device, struct gc_error *error);
void gc_vfio_close_iova_space(struct gc_device *device);
bool gc_vfio_has_iommu(const struct gc_device *device);
bool gc_vfio_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error);
bool gc_vfio_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error);
/* Hugepages: mapped behind an IOMMU, else used by their physical addresses. */
bool gc_vfio_dma_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_vfio_dma_free(struct gc_dma_buffer *buffer);

bool gc_vfio_region_info(const struct gc_device *device, unsigned region, struct vfio_region_info *info);
/* Sets the size of `window`, which is that region, and maps it if VFIO allows that. */
bool gc_vfio_open_region(
        struct gc_device *device, struct gc_window *window, unsigned region, struct gc_error *error);
/* One access to a region. Offsets are those of the device descriptor. */
bool gc_vfio_access(const struct gc_device *device, bool write, uint64_t offset, unsigned size, void *value);
bool gc_vfio_window_access(
        const struct gc_window *window, bool write, size_t offset, unsigned size, void *value);

/* Enables interrupt `irq` with eventfds, for *vectors vectors, or one if there are no more. */
bool gc_vfio_irq_enable(
        struct gc_device *device, unsigned irq, unsigned *vectors, const char *name, struct gc_error *error);
void gc_vfio_irq_disable(struct gc_device *device, unsigned irq, unsigned vectors);
int gc_vfio_irq_fd(const struct gc_device *device, unsigned vector);
bool gc_vfio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error);
/* VFIO_IRQ_SET_ACTION_MASK or VFIO_IRQ_SET_ACTION_UNMASK. */
bool gc_vfio_irq_action(struct gc_device *device, unsigned irq, uint32_t action);

bool gc_vfio_reset(struct gc_device *device, struct gc_error *error);

#endif
