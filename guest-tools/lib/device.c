/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same whichever driver the device is bound to; see ghostcard.h. */
#define _GNU_SOURCE
#include "backend.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static const struct gc_backend_ops *const BACKENDS[] = {&gc_backend_uio, &gc_backend_vfio};
enum { BACKEND_COUNT = sizeof(BACKENDS) / sizeof(BACKENDS[0]) };

bool gc_fail(struct gc_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (error)
        vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return false;
}

uint64_t gc_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int gc_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = gc_now_ns();
    return now_ns < deadline_ns ? (int)((deadline_ns - now_ns + 999999) / 1000000) : 0;
}

static const struct gc_backend_ops *backend_for(const char *address, struct gc_error *error)
{
    char text[64], driver[64];
    if (!gc_sysfs_read(address, "vendor", text, sizeof(text))) {
        gc_fail(error, "no PCI device %s in /sys/bus/pci/devices: give its full address, as in 0000:00:04.0",
                address);
        return NULL;
    }
    if (!gc_sysfs_link(address, "driver", driver, sizeof(driver))) {
        gc_fail(error,
                "PCI device %s is bound to no driver: bind it first, as in 'ghostcard-bind %s "
                "uio_pci_generic' or "
                "'… vfio-pci'",
                address, address);
        return NULL;
    }
    for (int i = 0; i < BACKEND_COUNT; i++) {
        if (strcmp(driver, BACKENDS[i]->driver) == 0)
            return BACKENDS[i];
    }
    gc_fail(error, "PCI device %s is bound to the driver '%s', which is neither %s nor %s: rebind it",
            address, driver, gc_backend_uio.driver, gc_backend_vfio.driver);
    return NULL;
}

struct gc_device *gc_open(const char *pci_address, struct gc_error *error)
{
    const struct gc_backend_ops *ops = backend_for(pci_address, error);
    if (!ops)
        return NULL;
    struct gc_device *device = calloc(1, sizeof(*device));
    if (!device) {
        gc_fail(error, "no memory to open %s", pci_address);
        return NULL;
    }
    device->ops = ops;
    snprintf(device->address, sizeof(device->address), "%.15s", pci_address);
    if (!ops->open(device, error)) {
        free(device);
        return NULL;
    }
    if (!gc_set_bus_master(device, false, error)) {
        gc_close(device);
        return NULL;
    }
    return device;
}

void gc_close(struct gc_device *device)
{
    if (!device)
        return;
    gc_irq_disable(device);
    gc_set_bus_master(device, false, NULL);
    for (unsigned i = 0; i < GC_BAR_COUNT; i++) {
        if (device->bars[i].mapped)
            munmap((void *)device->bars[i].mapped, device->bars[i].size);
    }
    device->ops->close(device);
    free(device);
}

const char *gc_driver(const struct gc_device *device)
{
    return device->ops->driver;
}

const char *gc_pci_address(const struct gc_device *device)
{
    return device->address;
}

static bool config_access(struct gc_device *device, bool write, unsigned offset, unsigned size,
        uint32_t *value, struct gc_error *error)
{
    /* Both this program and configuration space are little-endian: the low bytes come first. */
    return device->ops->config_access(device, write, offset, size, value) ||
           gc_fail(error, "cannot %s %u bytes at 0x%x of the configuration space of %s: %s",
                   write ? "write" : "read", size, offset, device->address, strerror(errno));
}

bool gc_config_read(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t *value, struct gc_error *error)
{
    *value = 0;
    return config_access(device, false, offset, size, value, error);
}

bool gc_config_write(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t value, struct gc_error *error)
{
    return config_access(device, true, offset, size, &value, error);
}

bool gc_set_bus_master(struct gc_device *device, bool on, struct gc_error *error)
{
    uint32_t command;
    if (!gc_config_read(device, PCI_COMMAND, 2, &command, error))
        return false;
    command = on ? command | PCI_COMMAND_MASTER : command & ~(uint32_t)PCI_COMMAND_MASTER;
    return gc_config_write(device, PCI_COMMAND, 2, command, error);
}

bool gc_reset(struct gc_device *device, struct gc_error *error)
{
    if (device->irq_enabled)
        return gc_fail(
                error, "reset of %s while interrupts are enabled: disable them first", device->address);
    return device->ops->reset(device, error);
}

bool gc_bar_open(struct gc_device *device, unsigned index, struct gc_bar *bar, struct gc_error *error)
{
    if (index >= GC_BAR_COUNT)
        return gc_fail(error, "BAR %u of %s: a PCI device has BARs 0 to %d", index, device->address,
                GC_BAR_COUNT - 1);
    struct gc_bar *own = &device->bars[index];
    if (own->size == 0) {
        *own = (struct gc_bar){.device = device, .index = index};
        if (!device->ops->open_bar(device, own, error)) {
            own->size = 0;
            return false;
        }
    }
    *bar = *own;
    return true;
}

const char *gc_irq_mode_name(enum gc_irq_mode mode)
{
    static const char *const NAMES[] = {[GC_IRQ_INTX] = "intx", [GC_IRQ_MSI] = "msi", [GC_IRQ_MSIX] = "msix"};
    return NAMES[mode];
}

enum gc_irq_mode gc_irq_best_mode(const struct gc_device *device)
{
    return device->ops->best_irq_mode;
}

bool gc_irq_enable(struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    if (*vectors < 1 || *vectors > GC_MAX_VECTORS)
        return gc_fail(error, "%u interrupt vectors asked of %s: 1 to %d can be", *vectors, device->address,
                GC_MAX_VECTORS);
    gc_irq_disable(device);
    if (mode == GC_IRQ_INTX)
        *vectors = 1;
    if (!device->ops->irq_enable(device, mode, vectors, error))
        return false;
    device->irq_enabled = true;
    device->irq_mode = mode;
    device->vectors = *vectors;
    return true;
}

void gc_irq_disable(struct gc_device *device)
{
    if (device->irq_enabled)
        device->ops->irq_disable(device);
    device->irq_enabled = false;
}

bool gc_irq_wait(
        struct gc_device *device, unsigned vector, int timeout_ms, uint64_t *taken, struct gc_error *error)
{
    *taken = 0;
    if (!device->irq_enabled || vector >= device->vectors)
        return gc_fail(error, "wait for interrupt vector %u of %s: %u are enabled", vector, device->address,
                device->irq_enabled ? device->vectors : 0);
    uint64_t deadline_ns = gc_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0);
    struct pollfd entry = {.fd = device->ops->irq_fd(device, vector), .events = POLLIN};
    /* Again when a stop and continue ended poll() early, and when what made it readable was not ours. */
    for (int left_ms = timeout_ms > 0 ? timeout_ms : 0;; left_ms = gc_left_ms(deadline_ns)) {
        int ready = poll(&entry, 1, left_ms);
        if (ready < 0 && errno != EINTR)
            return gc_fail(error, "wait for interrupt vector %u of %s: %s", vector, device->address,
                    strerror(errno));
        if (ready > 0 && !(entry.revents & POLLIN))
            return gc_fail(error, "wait for interrupt vector %u of %s: the kernel has withdrawn the device",
                    vector, device->address);
        if (ready > 0 && !device->ops->irq_take(device, vector, taken, error))
            return false;
        if (*taken > 0 || left_ms == 0)
            return true;
    }
}

bool gc_irq_rearm(struct gc_device *device, struct gc_error *error)
{
    return device->irq_mode != GC_IRQ_INTX || device->ops->irq_rearm(device, error);
}
