/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to windows, with the barriers that order memory before a doorbell, and a register read before
 * memory. Models: Linux Documentation/memory-barriers.txt, "Kernel I/O barrier effects" (readX, writeX).
 */
#include "backend.h"

#include <string.h>

/*
 * x86 keeps stores in order and loads in order. arm64 needs barriers, for the outer shareable domain, which
 * includes devices.
 */
#if defined(__aarch64__)
#define write_barrier() __asm__ volatile("dmb oshst" ::: "memory")
#define read_barrier() __asm__ volatile("dmb oshld" ::: "memory")
#elif defined(__x86_64__)
#define write_barrier() __asm__ volatile("" ::: "memory")
#define read_barrier() __asm__ volatile("" ::: "memory")
#else
#error "define the barriers that order memory accesses against device accesses on this architecture"
#endif

void gc_read_barrier(void)
{
    read_barrier();
}

void gc_write_barrier(void)
{
    write_barrier();
}

bool gc_pci_find_window(struct gc_device *device, const struct gc_window_place *place, unsigned *index,
        struct gc_error *error)
{
    enum { BAR_COUNT = 6 };
    *index = place->bar;
    return place->bar < BAR_COUNT ||
           gc_fail(error, "cannot open BAR %u of %s: a PCI function has BARs 0 to %d", place->bar,
                   device->name, BAR_COUNT - 1);
}

/*
 * An access without a mapping. If the kernel refuses it, it reads all ones, like a bus access without an
 * answer.
 */
static uint64_t unmapped_read(const struct gc_window *window, size_t offset, unsigned size)
{
    uint64_t value = 0;
    const struct gc_backend_ops *ops = window->device->ops;
    bool done = ops->window_access && ops->window_access(window, false, offset, size, &value);
    read_barrier();
    return done ? value : UINT64_MAX;
}

static void unmapped_write(const struct gc_window *window, size_t offset, unsigned size, uint64_t value)
{
    const struct gc_backend_ops *ops = window->device->ops;
    if (ops->window_access)
        ops->window_access(window, true, offset, size, &value);
}

/* They keep nothing on the stack, so that who looks at the guest from outside finds their caller there. */
#define DEFINE_ACCESS(bits)                                                                                  \
    uint##bits##_t gc_read##bits(const struct gc_window *window, size_t offset)                              \
    {                                                                                                        \
        if (!window->mapped)                                                                                 \
            return (uint##bits##_t)unmapped_read(window, offset, bits / 8);                                  \
        uint##bits##_t value = *(const volatile uint##bits##_t *)(window->mapped + offset);                  \
        read_barrier();                                                                                      \
        return value;                                                                                        \
    }                                                                                                        \
                                                                                                             \
    void gc_write##bits(const struct gc_window *window, size_t offset, uint##bits##_t value)                 \
    {                                                                                                        \
        write_barrier();                                                                                     \
        if (window->mapped)                                                                                  \
            *(volatile uint##bits##_t *)(window->mapped + offset) = value;                                   \
        else                                                                                                 \
            unmapped_write(window, offset, bits / 8, value);                                                 \
    }

DEFINE_ACCESS(8)
DEFINE_ACCESS(16)
DEFINE_ACCESS(32)
DEFINE_ACCESS(64)
