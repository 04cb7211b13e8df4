/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end for uio_pci_generic: BARs and configuration space through sysfs, interrupts through /dev/uioN.
 *
 * What that driver does (Linux drivers/uio/uio_pci_generic.c, Documentation/driver-api/uio-howto.rst): it
 * enables the device but not bus mastering, and takes INTx only. On an interrupt it sets Interrupt Disable in
 * the command register and counts; read() of /dev/uioN gives the count. It offers no control of the interrupt
 * by write(), so user space unmasks by clearing Interrupt Disable in configuration space. When /dev/uioN is
 * closed for the last time it turns bus mastering off.
 */
#define _GNU_SOURCE
#include "backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Number N of the device's /dev/uioN: the one folder below its `uio`. -1 without. */
static int uio_number(const char *address)
{
    char path[256];
    int number = -1;
    DIR *folder = opendir(gc_sysfs_path(path, address, "uio"));
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (sscanf(entry->d_name, "uio%d", &number) == 1)
            break;
    if (folder)
        closedir(folder);
    return number;
}

static bool uio_open(struct gc_device *device, struct gc_error *error)
{
    char path[256], node[32];
    int number = uio_number(device->address);
    if (number < 0)
        return gc_fail(error,
                "%s is bound to uio_pci_generic but has no uio folder in sysfs: see the kernel log",
                device->address);
    snprintf(node, sizeof(node), "/dev/uio%d", number);
    device->uio.uio_fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (device->uio.uio_fd < 0)
        return gc_fail(error, "cannot open %s: %s (root is needed)", node, strerror(errno));
    device->uio.config_fd = open(gc_sysfs_path(path, device->address, "config"), O_RDWR | O_CLOEXEC);
    if (device->uio.config_fd < 0) {
        gc_fail(error, "cannot open %s: %s (root is needed)", path, strerror(errno));
        close(device->uio.uio_fd);
        return false;
    }
    return true;
}

static void uio_close(struct gc_device *device)
{
    close(device->uio.config_fd);
    close(device->uio.uio_fd);
}

static bool uio_open_bar(struct gc_device *device, struct gc_bar *bar, struct gc_error *error)
{
    char attribute[16], path[256];
    snprintf(attribute, sizeof(attribute), "resource%u", bar->index);
    int fd = open(gc_sysfs_path(path, device->address, attribute), O_RDWR | O_SYNC | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open BAR %u of %s: %s", bar->index, path, strerror(errno));
    struct stat status = {0};
    fstat(fd, &status); /* its size is the BAR's */
    size_t size = (size_t)status.st_size;
    void *mapped = size > 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapped == MAP_FAILED)
        gc_fail(error, "cannot map %zu bytes of %s: %s", size, path, strerror(errno));
    close(fd); /* the mapping holds it */
    if (mapped == MAP_FAILED)
        return false;
    bar->size = size;
    bar->mapped = mapped;
    return true;
}

static bool uio_config_access(
        struct gc_device *device, bool write, unsigned offset, unsigned size, void *value)
{
    ssize_t done = write ? pwrite(device->uio.config_fd, value, size, offset)
                         : pread(device->uio.config_fd, value, size, offset);
    return done == (ssize_t)size;
}

static bool set_intx_disable(struct gc_device *device, bool disable, struct gc_error *error)
{
    uint32_t command;
    if (!gc_config_read(device, PCI_COMMAND, 2, &command, error))
        return false;
    command = disable ? command | PCI_COMMAND_INTX_DISABLE : command & ~(uint32_t)PCI_COMMAND_INTX_DISABLE;
    return gc_config_write(device, PCI_COMMAND, 2, command, error);
}

/* The kernel's total; EAGAIN when nothing has come since the last read. */
static bool read_events(struct gc_device *device, uint32_t *events)
{
    return read(device->uio.uio_fd, events, sizeof(*events)) == sizeof(*events);
}

/* read() gives the kernel's total since the driver was bound; what came before us is in sysfs, and not ours.
 */
static bool start_counting(struct gc_device *device, struct gc_error *error)
{
    char attribute[48], text[32];
    read_events(device, &device->uio.events);
    snprintf(attribute, sizeof(attribute), "uio/uio%d/event", uio_number(device->address));
    if (!gc_sysfs_read(device->address, attribute, text, sizeof(text)))
        return gc_fail(error, "cannot read %s of %s in sysfs", attribute, device->address);
    device->uio.events = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

static bool uio_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    *vectors = 1;
    if (mode != GC_IRQ_INTX)
        return gc_fail(error,
                "interrupt mode %s asked of %s: uio_pci_generic has INTx only; bind it to vfio-pci",
                gc_irq_mode_name(mode), device->address);
    return start_counting(device, error) && set_intx_disable(device, false, error);
}

static void uio_irq_disable(struct gc_device *device)
{
    set_intx_disable(device, true, NULL);
}

static int uio_irq_fd(const struct gc_device *device, unsigned vector)
{
    (void)vector;
    return device->uio.uio_fd;
}

static bool uio_irq_take(struct gc_device *device, unsigned vector, uint64_t *taken, struct gc_error *error)
{
    uint32_t events;
    (void)vector;
    if (!read_events(device, &events))
        return errno == EAGAIN ||
               gc_fail(error, "cannot read the interrupt count of %s: %s", device->address, strerror(errno));
    *taken = events - device->uio.events;
    device->uio.events = events;
    return true;
}

static bool uio_irq_rearm(struct gc_device *device, struct gc_error *error)
{
    return set_intx_disable(device, false, error);
}

static bool uio_reset(struct gc_device *device, struct gc_error *error)
{
    char path[256];
    int fd = open(gc_sysfs_path(path, device->address, "reset"), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return gc_fail(error, "cannot open %s: %s: the kernel knows no way to reset this device", path,
                strerror(errno));
    bool done = write(fd, "1", 1) == 1;
    if (!done)
        gc_fail(error, "reset through %s failed: %s", path, strerror(errno));
    close(fd);
    return done;
}

const struct gc_backend_ops gc_backend_uio = {
        .driver = "uio_pci_generic",
        .best_irq_mode = GC_IRQ_INTX,
        .open = uio_open,
        .close = uio_close,
        .open_bar = uio_open_bar,
        .config_access = uio_config_access,
        .irq_enable = uio_irq_enable,
        .irq_disable = uio_irq_disable,
        .irq_fd = uio_irq_fd,
        .irq_take = uio_irq_take,
        .irq_rearm = uio_irq_rearm,
        .reset = uio_reset,
};
