/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for vfio-pci: BARs and configuration space are regions; INTx, MSI and MSI-X are interrupts 0 to 2.
 *
 * Models: Linux include/uapi/linux/vfio.h (VFIO_PCI_*), drivers/vfio/pci. vfio-pci enables the device when it
 * is opened, with bus mastering off.
 */
#include "vfio.h"

#include <errno.h>
#include <string.h>

static bool vfio_open(struct gc_device *device, struct gc_error *error)
{
    struct vfio_region_info config;
    if (!gc_vfio_open(device, error))
        return false;
    if (!gc_vfio_region_info(device, VFIO_PCI_CONFIG_REGION_INDEX, &config)) {
        gc_fail(error, "cannot get information on the configuration space of %s from VFIO: %s", device->name,
                strerror(errno));
        gc_vfio_close(device);
        return false;
    }
    device->vfio.config_offset = config.offset;
    return true;
}

static bool vfio_open_window(struct gc_device *device, struct gc_window *window, struct gc_error *error)
{
    return gc_vfio_open_region(device, window, VFIO_PCI_BAR0_REGION_INDEX + window->index, error);
}

static bool vfio_config_access(
        struct gc_device *device, bool write, unsigned offset, unsigned size, void *value)
{
    return gc_vfio_access(device, write, device->vfio.config_offset + offset, size, value);
}

static unsigned irq_index(enum gc_irq_mode mode)
{
    static const unsigned INDEXES[] = {
            [GC_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
            [GC_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
            [GC_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
    };
    return INDEXES[mode];
}

static bool vfio_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    if (mode == GC_IRQ_LINE)
        return gc_fail(error,
                "cannot enable interrupt mode line of %s: a PCI function has intx, msi and msix",
                device->name);
    return gc_vfio_irq_enable(device, irq_index(mode), vectors, gc_irq_mode_name(mode), error);
}

static void vfio_irq_disable(struct gc_device *device)
{
    gc_vfio_irq_disable(device, irq_index(device->irq_mode), device->vectors);
}

static bool vfio_irq_set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    uint32_t action = masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK;
    return gc_vfio_irq_action(device, VFIO_PCI_INTX_IRQ_INDEX, action) ||
           gc_fail(error, "VFIO cannot %s INTx of %s: %s", masked ? "mask" : "unmask", device->name,
                   strerror(errno));
}

const struct gc_backend_ops gc_backend_vfio_pci = {
        .driver = "vfio-pci",
        .best_irq_mode = GC_IRQ_MSIX,
        .open = vfio_open,
        .close = gc_vfio_close,
        .find_window = gc_pci_find_window,
        .open_window = vfio_open_window,
        .window_access = gc_vfio_window_access,
        .config_access = vfio_config_access,
        .irq_enable = vfio_irq_enable,
        .irq_disable = vfio_irq_disable,
        .irq_fd = gc_vfio_irq_fd,
        .irq_take = gc_vfio_irq_take,
        .irq_set_masked = vfio_irq_set_masked,
        .reset = gc_vfio_reset,
        .dma_alloc = gc_vfio_dma_alloc,
        .dma_free = gc_vfio_dma_free,
        .has_iommu = gc_vfio_has_iommu,
        .dma_map = gc_vfio_dma_map,
        .dma_unmap = gc_vfio_dma_unmap,
};
