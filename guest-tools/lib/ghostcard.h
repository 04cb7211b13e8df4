/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI device from user space: registers, interrupts and DMA memory, whichever kernel driver hands the
 * device out.
 *
 * Two back ends behind one interface (backend.h): `uio_pci_generic` and `vfio-pci` in no-IOMMU mode. With
 * neither is there an IOMMU in between: the device sees physical addresses, and a wrong one hits whatever
 * lives there.
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

/* Room for "0000:00:04.0" and its terminator. */
enum { GC_PCI_ADDRESS_SIZE = 16 };

/* Address of the first device with that vendor and device id. */
bool gc_find(uint16_t vendor, uint16_t device, char address[GC_PCI_ADDRESS_SIZE], struct gc_error *error);

/* Opens through the driver that the device is bound to. Bus mastering is off until gc_set_bus_master. */
struct gc_device *gc_open(const char *pci_address, struct gc_error *error);

/* Interrupts off, bus mastering off, everything unmapped. */
void gc_close(struct gc_device *device);

/* Name of the kernel driver: "uio_pci_generic" or "vfio-pci". */
const char *gc_driver(const struct gc_device *device);
const char *gc_pci_address(const struct gc_device *device);

/* Configuration space, 1, 2 or 4 bytes at a naturally aligned offset. */
bool gc_config_read(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t *value, struct gc_error *error);
bool gc_config_write(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t value, struct gc_error *error);

/* Lets the device reach memory (Bus Master Enable), which includes sending MSI and MSI-X messages. */
bool gc_set_bus_master(struct gc_device *device, bool on, struct gc_error *error);

/*
 * Function reset. BARs stay mapped and configuration space is as before; the device's own state is gone.
 * Interrupts must be off (gc_irq_disable): what happens to enabled ones differs between drivers.
 */
bool gc_reset(struct gc_device *device, struct gc_error *error);

/* -------------------------------------------------------------------------------------------------- BARs */

struct gc_bar {
    struct gc_device *device;
    unsigned index;
    size_t size;
    /* NULL when the driver does not let the BAR be mapped: then each access is a system call. */
    volatile uint8_t *mapped;
};

/* Maps a BAR, once; it stays mapped until gc_close. */
bool gc_bar_open(struct gc_device *device, unsigned index, struct gc_bar *bar, struct gc_error *error);

/*
 * One bus access of exactly that size, at a naturally aligned offset inside the BAR. A write is ordered after
 * all memory writes before it (descriptors, then doorbell), a read before all memory reads after it.
 */
uint8_t gc_read8(const struct gc_bar *bar, size_t offset);
uint16_t gc_read16(const struct gc_bar *bar, size_t offset);
uint32_t gc_read32(const struct gc_bar *bar, size_t offset);
uint64_t gc_read64(const struct gc_bar *bar, size_t offset);
void gc_write8(const struct gc_bar *bar, size_t offset, uint8_t value);
void gc_write16(const struct gc_bar *bar, size_t offset, uint16_t value);
void gc_write32(const struct gc_bar *bar, size_t offset, uint32_t value);
void gc_write64(const struct gc_bar *bar, size_t offset, uint64_t value);

/* Between reads of memory that the device writes: what was read first is older. */
void gc_read_barrier(void);
/* Between writes to memory that the device reads: it sees the first no later than the second. */
void gc_write_barrier(void);

/* -------------------------------------------------------------------------------------------- interrupts */

enum gc_irq_mode { GC_IRQ_INTX, GC_IRQ_MSI, GC_IRQ_MSIX };

const char *gc_irq_mode_name(enum gc_irq_mode mode);

/* What the driver can do: MSI-X for vfio-pci, INTx for uio_pci_generic. */
enum gc_irq_mode gc_irq_best_mode(const struct gc_device *device);

enum { GC_MAX_VECTORS = 32 };

/*
 * Enables *vectors interrupts, or only one if there are no more: INTx always, MSI on an x86 machine without
 * interrupt remapping. *vectors then says so. MSI and MSI-X only reach us while bus mastering is on.
 */
bool gc_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error);
void gc_irq_disable(struct gc_device *device);

/*
 * Waits for interrupts of `vector`. True with the number taken since the last call; 0 when the time is over.
 * After INTx the line is masked until gc_irq_rearm, which the caller does once the device no longer asserts
 * it.
 */
bool gc_irq_wait(
        struct gc_device *device, unsigned vector, int timeout_ms, uint64_t *taken, struct gc_error *error);
bool gc_irq_rearm(struct gc_device *device, struct gc_error *error);

/* -------------------------------------------------------------------------------------------- DMA memory */

/* A physically contiguous part of a buffer. */
struct gc_dma_segment {
    uint64_t address; /* as the device sees it */
    size_t size;
};

/* Memory that does not move and whose physical addresses are known: 2 MiB hugepages, locked. */
struct gc_dma_buffer {
    uint8_t *bytes;
    size_t size;
    size_t segment_count;
    struct gc_dma_segment *segments;
};

/* Zeroed memory of at least `size` bytes, rounded up to hugepages. */
bool gc_dma_alloc(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);

/* The device must have stopped using it. */
void gc_dma_free(struct gc_dma_buffer *buffer);

/* The part of the buffer from `offset` on that is contiguous for the device, at most `size` bytes of it. */
struct gc_dma_segment gc_dma_segment_at(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

/* ------------------------------------------------------------------------------------------------- clock */

uint64_t gc_now_ns(void);

/* Time until then, rounded up; 0 when it is over. */
int gc_left_ms(uint64_t deadline_ns);

#endif
