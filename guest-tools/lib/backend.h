/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a back end does, and the device that it does it to. One table per kernel driver: backend_uio.c,
 * backend_vfio.c. Everything that is the same for both is in device.c.
 */
#ifndef GHOSTCARD_BACKEND_H
#define GHOSTCARD_BACKEND_H

#include "ghostcard.h"

enum { GC_BAR_COUNT = 6 };

struct gc_device {
    char address[GC_PCI_ADDRESS_SIZE];
    const struct gc_backend_ops *ops;
    struct gc_bar bars[GC_BAR_COUNT];
    bool irq_enabled;
    enum gc_irq_mode irq_mode;
    unsigned vectors;
    union {
        struct {
            int uio_fd, config_fd;
            uint32_t events; /* total that the kernel counted when we last looked */
        } uio;
        struct {
            int container_fd, group_fd, device_fd;
            int event_fds[GC_MAX_VECTORS];
            uint64_t config_offset;
            uint64_t bar_offsets[GC_BAR_COUNT];
        } vfio;
    };
};

struct gc_backend_ops {
    /* The kernel driver that a device must be bound to. */
    const char *driver;
    enum gc_irq_mode best_irq_mode;

    /* Takes hold of the device: memory decoding is on afterwards. On failure nothing is left open. */
    bool (*open)(struct gc_device *device, struct gc_error *error);
    /* Lets go of everything that open took; interrupts are off already. */
    void (*close)(struct gc_device *device);

    /* Sets size and, if it can be, mapping of a BAR that is not open yet. */
    bool (*open_bar)(struct gc_device *device, struct gc_bar *bar, struct gc_error *error);
    /* One access to a BAR without mapping; NULL when this back end always maps. */
    bool (*bar_access)(const struct gc_bar *bar, bool write, size_t offset, unsigned size, void *value);

    /* One access to configuration space, of exactly that size. False: errno says why. */
    bool (*config_access)(struct gc_device *device, bool write, unsigned offset, unsigned size, void *value);

    /* Interrupts of this mode reach irq_wait from now on; those from before do not. Grants *vectors as asked,
     * or 1. */
    bool (*irq_enable)(
            struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error);
    /* None reach it any more. */
    void (*irq_disable)(struct gc_device *device);
    /* The descriptor that poll() reports readable once an interrupt of `vector` has come. */
    int (*irq_fd)(const struct gc_device *device, unsigned vector);
    /* Interrupts of `vector` since the last call; called only when irq_fd is readable. */
    bool (*irq_take)(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error);
    /* INTx: the kernel masked the line when it took the interrupt; unmasks it. A line still asserted
     * interrupts again. */
    bool (*irq_rearm)(struct gc_device *device, struct gc_error *error);

    /* Function reset; configuration space is restored by the kernel. */
    bool (*reset)(struct gc_device *device, struct gc_error *error);
};

extern const struct gc_backend_ops gc_backend_uio;
extern const struct gc_backend_ops gc_backend_vfio;

/* sysfs.c: path of an attribute of a PCI device, and small files read and written whole. */
const char *gc_sysfs_path(char path[256], const char *address, const char *attribute);
bool gc_sysfs_read(const char *address, const char *attribute, char *text, size_t size);
/* Last part of the link's target: the driver's or group's name. */
bool gc_sysfs_link(const char *address, const char *attribute, char *name, size_t size);

#endif
