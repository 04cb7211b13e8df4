/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device from user space: registers, interrupts and DMA memory, whichever kernel driver hands the device
 * out, and whether it is a PCI function or a memory-mapped platform device.
 *
 * One back end for each kernel driver behind one interface (backend.h). Without an IOMMU in between the
 * device sees physical addresses, and a wrong one hits whatever lives there.
 *
 * Functions that can fail return false (or NULL) with a message in `error`; every wait has a limit.
 */
#ifndef GHOSTCARD_H
#define GHOSTCARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was attempted, what was seen, and what to do about it. */
struct gc_error {
    char message[512];
};

/* Fills in `error` (NULL: nobody wants to know) and returns false, so that `return gc_fail(…)` reads well. */
__attribute__((format(printf, 2, 3))) bool gc_fail(struct gc_error *error, const char *format, ...);

/* ------------------------------------------------------------------------------------------------ device */

struct gc_device;

/* Room for "0000:00:04.0" or a platform device's name, and its terminator. */
enum { GC_NAME_SIZE = 64 };

/* Address of the first PCI function with that vendor and device id. */
bool gc_find(uint16_t vendor, uint16_t device, char name[GC_NAME_SIZE], struct gc_error *error);

/*
 * Opens a PCI function by its address ("0000:00:04.0") or a platform device by its name
 * ("ghostcard-ref.256"), through the driver that it is bound to. The address of a function that has become
 * one platform device opens that. A PCI function's bus mastering is off until gc_set_bus_master.
 */
struct gc_device *gc_open(const char *name, struct gc_error *error);

/* Interrupts off, bus mastering off, everything unmapped. */
void gc_close(struct gc_device *device);

/* Name of the kernel driver: "uio_pci_generic", "vfio-platform" … */
const char *gc_driver(const struct gc_device *device);
/* As it was opened. */
const char *gc_name(const struct gc_device *device);
/* False: a platform device, which has neither configuration space nor a bus master bit. */
bool gc_is_pci(const struct gc_device *device);

/* Configuration space of a PCI function, 1, 2 or 4 bytes at a naturally aligned offset. */
bool gc_config_read(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t *value, struct gc_error *error);
bool gc_config_write(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t value, struct gc_error *error);

/*
 * Lets a PCI function reach memory (Bus Master Enable), which includes sending MSI and MSI-X messages.
 * Platform devices may do so at any time: nothing is done, successfully.
 */
bool gc_set_bus_master(struct gc_device *device, bool on, struct gc_error *error);

/*
 * Reset by the kernel. Windows stay mapped and configuration space is as before; the device's own state is
 * gone. Interrupts must be off (gc_irq_disable): what happens to enabled ones differs between drivers.
 */
bool gc_reset(struct gc_device *device, struct gc_error *error);
/* False: the kernel driver offers no reset at all. */
bool gc_can_reset(const struct gc_device *device);
/*
 * Gives a PCI function its addresses again, and turns memory decoding on: for one that has been reset behind
 * the kernel's back, whose configuration space is at reset values.
 */
bool gc_restore(struct gc_device *device, struct gc_error *error);

/* ----------------------------------------------------------------------------------------------- windows */

/* Where to find a window of registers or memory: PCI functions number theirs, platform devices name them. */
struct gc_window_place {
    const char *name;
    unsigned bar;
};

struct gc_window {
    struct gc_device *device;
    unsigned index; /* BAR, UIO map or VFIO region */
    size_t size;
    /* NULL when the driver does not let the window be mapped: then each access is a system call. */
    volatile uint8_t *mapped;
};

/* Maps a window, once; it stays mapped until gc_close. */
bool gc_window_open(struct gc_device *device, const struct gc_window_place *place, struct gc_window *window,
        struct gc_error *error);

/*
 * One bus access of exactly that size, at a naturally aligned offset inside the window. A write is ordered
 * after all memory writes before it (descriptors, then doorbell), a read before all memory reads after it.
 */
uint8_t gc_read8(const struct gc_window *window, size_t offset);
uint16_t gc_read16(const struct gc_window *window, size_t offset);
uint32_t gc_read32(const struct gc_window *window, size_t offset);
uint64_t gc_read64(const struct gc_window *window, size_t offset);
void gc_write8(const struct gc_window *window, size_t offset, uint8_t value);
void gc_write16(const struct gc_window *window, size_t offset, uint16_t value);
void gc_write32(const struct gc_window *window, size_t offset, uint32_t value);
void gc_write64(const struct gc_window *window, size_t offset, uint64_t value);

/* Between reads of memory that the device writes: what was read first is older. */
void gc_read_barrier(void);
/* Between writes to memory that the device reads: it sees the first no later than the second. */
void gc_write_barrier(void);

/* -------------------------------------------------------------------------------------------- interrupts */

/* LINE: the one interrupt of a platform device, whatever it is wired to. */
enum gc_irq_mode { GC_IRQ_INTX, GC_IRQ_MSI, GC_IRQ_MSIX, GC_IRQ_LINE };

const char *gc_irq_mode_name(enum gc_irq_mode mode);

/* What the driver can do: MSI-X for vfio-pci, INTx for uio_pci_generic, LINE for platform devices. */
enum gc_irq_mode gc_irq_best_mode(const struct gc_device *device);

enum { GC_MAX_VECTORS = 32 };

/*
 * Enables *vectors interrupts, or only one if there are no more: INTx and LINE always, MSI on an x86 machine
 * without interrupt remapping. *vectors then says so. MSI and MSI-X only reach us while bus mastering is on.
 */
bool gc_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error);
void gc_irq_disable(struct gc_device *device);

/*
 * Waits for interrupts of `vector`. True with the number taken since the last call; 0 when the time is over.
 * After INTx and LINE it is masked until gc_irq_rearm, which the caller does once the device no longer
 * asserts it.
 */
bool gc_irq_wait(
        struct gc_device *device, unsigned vector, int timeout_ms, uint64_t *taken, struct gc_error *error);
bool gc_irq_rearm(struct gc_device *device, struct gc_error *error);

/*
 * INTx and LINE: while masked nothing is taken; what the device then still asserts is taken once unmasked.
 */
bool gc_irq_set_masked(struct gc_device *device, bool masked, struct gc_error *error);

/* ------------------------------------------------------------------------------------------------ tracing */

/*
 * Marks this moment in the trace of the run (ghostcard run --trace), with a text of 1 to 1024 bytes: behind
 * every register write before it, and in front of all that comes after it. Waits until the host has it, 10 s
 * at most. Where nobody records (a machine without ghostcard) it does nothing, successfully. On failure errno
 * says why: EMSGSIZE, EINVAL (no text), ETIMEDOUT, or what a socket can fail with.
 */
__attribute__((format(printf, 1, 2))) bool gc_mark(const char *format, ...);

/* -------------------------------------------------------------------------------------------- DMA memory */

/* A physically contiguous part of a buffer. */
struct gc_dma_segment {
    uint64_t address; /* as the device sees it */
    size_t size;
};

/*
 * Memory that device and program both reach. Some drivers map it uncached, which is Device memory on arm64:
 * an unaligned access faults there, and so do memcpy() and memset(). Hence `volatile`, and gc_dma_write,
 * gc_dma_read and gc_dma_fill, which only make aligned accesses.
 */
struct gc_dma_buffer {
    struct gc_device *device;
    volatile uint8_t *bytes;
    size_t size;
    size_t segment_count;
    struct gc_dma_segment *segments;
};

/*
 * Zeroed memory of at least `size` bytes, rounded up to what the driver hands out. At least a page each;
 * where the kernel owns the memory (uio_dmem_genirq) there is as much of it as the device has asked for.
 */
bool gc_dma_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);

/* The device must have stopped using it, and must still be open. */
void gc_dma_free(struct gc_dma_buffer *buffer);

/* What gc_dma_alloc can give in one piece; SIZE_MAX where only memory limits it. */
size_t gc_dma_limit(const struct gc_device *device);

/*
 * Memory by its physical addresses, of which no device has been told: what a stray address hits. Rounded up
 * to hugepages. Not for DMA: behind an IOMMU a device does not reach it.
 */
bool gc_physical_alloc(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_physical_free(struct gc_dma_buffer *buffer);

/* Whether addresses of the device are translated, so that it reaches what has been mapped for it and no more.
 */
bool gc_has_iommu(const struct gc_device *device);

/* Memory of the program at an address of the program's choosing, as the device is to see it. All of them are
 * multiples of 4096. */
struct gc_dma_mapping {
    volatile void *bytes;
    size_t size;
    uint64_t address;
    bool read_only; /* for the device */
};

/*
 * For drivers that map by themselves: takes `size` bytes of device addresses, which gc_dma_alloc leaves alone
 * from then on. Fails where there is no IOMMU.
 */
bool gc_iova_alloc(struct gc_device *device, size_t size, uint64_t *address, struct gc_error *error);
/* Nothing may be mapped there any more. */
void gc_iova_free(struct gc_device *device, uint64_t address);
bool gc_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error);
/* Any number of mappings, none of which may be cut in two. The device reaches none of it once this returns.
 */
bool gc_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error);

/* Where a byte that the program has lies in physical memory, whatever the device is told. */
bool gc_physical_address(const volatile void *location, uint64_t *address, struct gc_error *error);

void gc_dma_write(const struct gc_dma_buffer *buffer, size_t offset, const void *bytes, size_t size);
void gc_dma_read(const struct gc_dma_buffer *buffer, size_t offset, void *bytes, size_t size);
void gc_dma_fill(const struct gc_dma_buffer *buffer, size_t offset, uint8_t value, size_t size);

/* The part of the buffer from `offset` on that is contiguous for the device, at most `size` bytes of it. */
struct gc_dma_segment gc_dma_segment_at(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

/*
 * Before the device looks at what the program has written, and before the program looks at what the device
 * has written. For a device that sees memory as the processor does they do nothing; the driver of one that
 * does not says by gc_dma_set_sync how it is done.
 */
void gc_dma_sync_for_device(const struct gc_dma_buffer *buffer, size_t offset, size_t size);
void gc_dma_sync_for_cpu(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

enum gc_dma_direction { GC_DMA_FOR_DEVICE, GC_DMA_FOR_CPU };

/* Called for each contiguous part of what is synchronised; NULL: nothing is to be done, as at first. */
typedef void gc_dma_sync(void *context, enum gc_dma_direction direction, struct gc_dma_segment part);
void gc_dma_set_sync(struct gc_device *device, gc_dma_sync *sync, void *context);

/* ------------------------------------------------------------------------------------------------- clock */

uint64_t gc_now_ns(void);

/* Time until then, rounded up; 0 when it is over. */
int gc_left_ms(uint64_t deadline_ns);

#endif
