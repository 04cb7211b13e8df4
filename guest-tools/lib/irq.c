/* SPDX-License-Identifier: Apache-2.0 */
/* The part of interrupts that does not depend on the driver: limits, waiting, modes. */
#include "backend.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

const char *gc_irq_mode_name(enum gc_irq_mode mode)
{
    static const char *const NAMES[] = {
            [GC_IRQ_INTX] = "intx", [GC_IRQ_MSI] = "msi", [GC_IRQ_MSIX] = "msix", [GC_IRQ_LINE] = "line"};
    return NAMES[mode];
}

enum gc_irq_mode gc_irq_best_mode(const struct gc_device *device)
{
    return device->ops->best_irq_mode;
}

/* A single line, which the kernel masks when it takes an interrupt. */
static bool is_line(enum gc_irq_mode mode)
{
    return mode == GC_IRQ_INTX || mode == GC_IRQ_LINE;
}

bool gc_irq_enable(struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error)
{
    if (*vectors < 1 || *vectors > GC_MAX_VECTORS)
        return gc_fail(error, "cannot enable %u interrupt vectors of %s: 1 to %d are possible", *vectors,
                device->name, GC_MAX_VECTORS);
    gc_irq_disable(device);
    if (is_line(mode))
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
        return gc_fail(error, "cannot wait for interrupt vector %u of %s: only %u are enabled", vector,
                device->name, device->irq_enabled ? device->vectors : 0);
    uint64_t deadline_ns = gc_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0);
    struct pollfd entry = {.fd = device->ops->irq_fd(device, vector), .events = POLLIN};
    /*
     * Retry if stopping and continuing the process ended poll() early, or if it became readable without an
     * interrupt.
     */
    for (int left_ms = timeout_ms > 0 ? timeout_ms : 0;; left_ms = gc_left_ms(deadline_ns)) {
        int ready = poll(&entry, 1, left_ms);
        if (ready < 0 && errno != EINTR)
            return gc_fail(error, "cannot wait for interrupt vector %u of %s: %s", vector, device->name,
                    strerror(errno));
        if (ready > 0 && !(entry.revents & POLLIN))
            return gc_fail(error,
                    "cannot wait for interrupt vector %u of %s: the kernel has removed the device", vector,
                    device->name);
        if (ready > 0 && !device->ops->irq_take(device, vector, taken, error))
            return false;
        if (*taken > 0 || left_ms == 0)
            return true;
    }
}

bool gc_irq_rearm(struct gc_device *device, struct gc_error *error)
{
    return !is_line(device->irq_mode) || device->ops->irq_set_masked(device, false, error);
}

bool gc_irq_set_masked(struct gc_device *device, bool masked, struct gc_error *error)
{
    if (!device->irq_enabled || !is_line(device->irq_mode))
        return gc_fail(error,
                "cannot %s the interrupt of %s: only an enabled intx or line interrupt can be masked",
                masked ? "mask" : "unmask", device->name);
    return device->ops->irq_set_masked(device, masked, error);
}
