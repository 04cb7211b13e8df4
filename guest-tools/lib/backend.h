/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a back end, and the device that it operates on. There is one table for each kernel driver,
 * in backend_*.c. What the drivers of one family share is in uio.h and vfio.h, and what is the same for all
 * in open.c and device.c.
 */
#ifndef GHOSTCARD_BACKEND_H
#define GHOSTCARD_BACKEND_H

#include "ghostcard.h"

/* BARs of a PCI function. UIO has 5 maps (MAX_UIO_MAPS), and our platform devices have no more regions. */
enum { GC_MAX_WINDOWS = 6 };

struct gc_device {
    char name[GC_NAME_SIZE];
    const char *bus; /* "pci" or "platform", as in /sys/bus */
    const struct gc_backend_ops *ops;
    struct gc_window windows[GC_MAX_WINDOWS];
    bool irq_enabled;
    enum gc_irq_mode irq_mode;
    unsigned vectors;
    uint64_t dma_mask; /* the last address that it reaches */
    gc_dma_sync *sync;
    void *sync_context;
    union {
        struct {
            int number, fd, config_fd;
            struct gc_dmem *dmem; /* dmem.c: buffers owned by the kernel */
            uint32_t events;      /* the kernel's total at the last read */
        } uio;
        struct {
            int container_fd, group_fd, device_fd;
            struct gc_iova_space *iova_space; /* NULL in no-IOMMU mode */
            int event_fds[GC_MAX_VECTORS];
            bool automasked; /* the platform interrupt is a line, masked when it is taken */
            uint64_t config_offset;
            uint64_t window_offsets[GC_MAX_WINDOWS];
        } vfio;
    };
};

struct gc_backend_ops {
    /* The kernel driver that a device must be bound to. */
    const char *driver;
    enum gc_irq_mode best_irq_mode;

    /* Opens the device and turns memory decoding on. On failure nothing is left open. */
    bool (*open)(struct gc_device *device, struct gc_error *error);
    /* Releases everything that open acquired. Interrupts are already off. */
    void (*close)(struct gc_device *device);

    /* The number of the window at `place`. */
    bool (*find_window)(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
            struct gc_error *error);
    /* Sets the size and, if possible, the mapping of a window that is not open yet. */
    bool (*open_window)(struct gc_device *device, struct gc_window *window, struct gc_error *error);
    /* One access to a window without a mapping. NULL if this back end always maps. */
    bool (*window_access)(
            const struct gc_window *window, bool write, size_t offset, unsigned size, void *value);

    /*
     * One access to configuration space, of exactly that size. False: errno says why. NULL: the device has
     * none.
     */
    bool (*config_access)(struct gc_device *device, bool write, unsigned offset, unsigned size, void *value);

    /*
     * Interrupts of this mode reach irq_wait from now on; earlier ones do not. Sets *vectors to the number
     * granted: as asked, or 1.
     */
    bool (*irq_enable)(
            struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error);
    /* Disables interrupts. */
    void (*irq_disable)(struct gc_device *device);
    /* The descriptor that becomes readable for poll() after an interrupt of `vector`. */
    int (*irq_fd)(const struct gc_device *device, unsigned vector);
    /* Number of interrupts of `vector` since the last call. Called only when irq_fd is readable. */
    bool (*irq_take)(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error);
    /*
     * Masks or unmasks INTx or LINE, which the kernel masks when it takes the interrupt. A line that is
     * asserted when it is unmasked interrupts.
     */
    bool (*irq_set_masked)(struct gc_device *device, bool masked, struct gc_error *error);

    /* Reset by the kernel, which restores configuration space. NULL: not available. */
    bool (*reset)(struct gc_device *device, struct gc_error *error);
    /*
     * Writes the BAR addresses that the kernel has assigned. NULL: the driver does so when memory decoding is
     * turned on.
     */
    bool (*restore_bars)(struct gc_device *device, struct gc_error *error);

    /* Fills in everything but `device`. On failure nothing is left allocated. */
    bool (*dma_alloc)(
            struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
    void (*dma_free)(struct gc_dma_buffer *buffer);
    /* The largest buffer in one piece. NULL: only memory limits it. */
    size_t (*dma_limit)(const struct gc_device *device);
    /* Mappings in an IOMMU. NULL: this back end cannot map. */
    bool (*has_iommu)(const struct gc_device *device);
    bool (*dma_map)(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error);
    bool (*dma_unmap)(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error);
};

extern const struct gc_backend_ops gc_backend_uio_pci;
extern const struct gc_backend_ops gc_backend_vfio_pci;
extern const struct gc_backend_ops gc_backend_uio_pdrv;
extern const struct gc_backend_ops gc_backend_uio_dmem;
extern const struct gc_backend_ops gc_backend_vfio_platform;

/* device.c: clears and sets bits of a PCI function's command register. */
bool gc_pci_set_command(struct gc_device *device, uint32_t clear, uint32_t set, struct gc_error *error);

/* window.c: find_window for PCI functions, whose windows are BARs. */
bool gc_pci_find_window(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
        struct gc_error *error);

/*
 * hugepages.c: hugepages with their physical addresses, for devices that use these; refused for a device
 * behind an IOMMU. gc_hugepages_get: without addresses.
 */
enum { GC_HUGEPAGE_BYTES = 2 << 20 };
bool gc_hugepages_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
bool gc_hugepages_get(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_hugepages_free(struct gc_dma_buffer *buffer);
/* Fails if the device is behind an IOMMU that would refuse physical addresses. */
bool gc_sees_physical_addresses(const struct gc_device *device, struct gc_error *error);

/*
 * sysfs.c: the path of a device's attribute, and the contents of small files. Returns the length without the
 * terminating 0, or 0 if there is no file.
 */
const char *gc_sysfs_path(char path[256], const struct gc_device *device, const char *attribute);
size_t gc_sysfs_read_all(const struct gc_device *device, const char *attribute, char *text, size_t size);
/* Only the first line. */
bool gc_sysfs_read(const struct gc_device *device, const char *attribute, char *text, size_t size);
/* The last part of the link's target: the name of the driver or group. */
bool gc_sysfs_link(const struct gc_device *device, const char *attribute, char *name, size_t size);
/* The bus that has a device of that name, "pci" or "platform"; NULL: none has. */
const char *gc_sysfs_bus(const char *name);

#endif
