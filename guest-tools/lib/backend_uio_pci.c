/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for uio_pci_generic: BARs and configuration space through sysfs, interrupts through /dev/uioN.
 *
 * What this driver does (Linux drivers/uio/uio_pci_generic.c, Documentation/driver-api/uio-howto.rst): it
 * enables the device but not bus mastering, and supports only INTx. On an interrupt it sets Interrupt Disable
 * in the command register and counts. It has no control of the interrupt by write(), so user space unmasks by
 * clearing Interrupt Disable in configuration space. When /dev/uioN is closed for the last time, it turns bus
 * mastering off.
 */
#define _GNU_SOURCE
#include "uio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool uio_open(struct gc_device *device, struct gc_error *error)
{
    char path[256];
    if (!gc_uio_open(device, error))
        return false;
    device->uio.config_fd = open(gc_sysfs_path(path, device, "config"), O_RDWR | O_CLOEXEC);
    if (device->uio.config_fd < 0) {
        gc_fail(error, "cannot open %s: %s (root is needed)", path, strerror(errno));
        close(device->uio.fd);
        return false;
    }
    return true;
}

static void uio_close(struct gc_device *device)
{
    close(device->uio.config_fd);
    close(device->uio.fd);
}

static bool uio_open_window(struct gc_device *device, struct gc_window *window, struct gc_error *error)
{
    char attribute[16], path[256];
    snprintf(attribute, sizeof(attribute), "resource%u", window->index);
    int fd = open(gc_sysfs_path(path, device, attribute), O_RDWR | O_SYNC | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open BAR %u of %s: %s", window->index, path, strerror(errno));
    struct stat status = {0};
    fstat(fd, &status); /* its size is that of the BAR */
    bool done = gc_uio_map(window, fd, (size_t)status.st_size, 0, path, error);
    close(fd); /* the mapping keeps it open */
    return done;
}

static bool uio_config_access(
        struct gc_device *device, bool write, unsigned offset, unsigned size, void *value)
{
    ssize_t done = write ? pwrite(device->uio.config_fd, value, size, offset)
                         : pread(device->uio.config_fd, value, size, offset);
    return done == (ssize_t)size;
}

static bool set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    return gc_pci_set_command(
            device, masked ? 0 : PCI_COMMAND_INTX_DISABLE, masked ? PCI_COMMAND_INTX_DISABLE : 0, error);
}

static bool uio_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    *vectors = 1;
    if (mode != GC_IRQ_INTX)
        return gc_fail(error,
                "cannot enable interrupt mode %s of %s: uio_pci_generic only has intx; bind it to vfio-pci",
                gc_irq_mode_name(mode), device->name);
    return gc_uio_start_counting(device, error) && set_masked(device, false, error);
}

static void uio_irq_disable(struct gc_device *device)
{
    set_masked(device, true, NULL);
}

static bool uio_reset(struct gc_device *device, struct gc_error *error)
{
    char path[256];
    int fd = open(gc_sysfs_path(path, device, "reset"), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open %s: %s: the kernel has no way to reset this device", path,
                strerror(errno));
    bool done = write(fd, "1", 1) == 1;
    if (!done)
        gc_fail(error, "reset through %s failed: %s", path, strerror(errno));
    close(fd);
    return done;
}

/* sysfs lists what the kernel has assigned: start, end and flags of each BAR. */
static bool uio_restore_bars(struct gc_device *device, struct gc_error *error)
{
    enum { BAR_COUNT = 6, IS_MEMORY = 0x200, IS_64_BIT = 0x100000 }; /* Linux include/linux/ioport.h */
    char text[2048];
    char *line = text;
    gc_sysfs_read_all(device, "resource", text, sizeof(text));
    for (unsigned bar = 0; bar < BAR_COUNT; bar++) {
        unsigned long long start, end, flags;
        int used;
        if (sscanf(line, "%llx %llx %llx\n%n", &start, &end, &flags, &used) != 3)
            return gc_fail(error, "sysfs does not list the addresses of %s", device->name);
        line += used;
        unsigned offset = PCI_BASE_ADDRESS_0 + 4 * bar;
        if ((flags & IS_MEMORY) && !gc_config_write(device, offset, 4, (uint32_t)start, error))
            return false;
        if ((flags & IS_64_BIT) && !gc_config_write(device, offset + 4, 4, (uint32_t)(start >> 32), error))
            return false;
    }
    return true;
}

const struct gc_backend_ops gc_backend_uio_pci = {
        .driver = "uio_pci_generic",
        .best_irq_mode = GC_IRQ_INTX,
        .open = uio_open,
        .close = uio_close,
        .find_window = gc_pci_find_window,
        .open_window = uio_open_window,
        .config_access = uio_config_access,
        .irq_enable = uio_irq_enable,
        .irq_disable = uio_irq_disable,
        .irq_fd = gc_uio_irq_fd,
        .irq_take = gc_uio_irq_take,
        .irq_set_masked = set_masked,
        .reset = uio_reset,
        .restore_bars = uio_restore_bars,
        .dma_alloc = gc_hugepages_alloc,
        .dma_free = gc_hugepages_free,
};
