/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in user space: registers, interrupts and DMA memory, whichever kernel driver it is bound to, and
 * whether it is a PCI function or a memory-mapped platform device.
 *
 * There is one back end for each kernel driver, behind one interface (backend.h). Without an IOMMU the device
 * uses physical addresses, and a wrong one hits arbitrary memory.
 *
 * Functions that can fail return false (or NULL) with a message in `error`. Every wait has a limit.
 */
#ifndef GHOSTCARD_H
#define GHOSTCARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was attempted, what was seen, and what to do. */
struct gc_error {
    char message[512];
};

/* Fills in `error` (if not NULL) and returns false, for use as `return gc_fail(…)`. */
__attribute__((format(printf, 2, 3))) bool gc_fail(struct gc_error *error, const char *format, ...);

/* ------------------------------------------------------------------------------------------------ device */

struct gc_device;

/* Size of a device name with its terminator: "0000:00:04.0", or the name of a platform device. */
enum { GC_NAME_SIZE = 64 };

/* Finds the address of the first PCI function with this vendor and device id. */
bool gc_find(uint16_t vendor, uint16_t device, char name[GC_NAME_SIZE], struct gc_error *error);

/*
 * Opens a PCI function by its address ("0000:00:04.0") or a platform device by its name
 * ("ghostcard-ref.256"), through the driver that it is bound to. The address of a function that has one
 * platform device opens that one. A PCI function's bus mastering is off until gc_set_bus_master.
 */
struct gc_device *gc_open(const char *name, struct gc_error *error);

/* Turns interrupts and bus mastering off, and unmaps everything. */
void gc_close(struct gc_device *device);

/* Name of the kernel driver: "uio_pci_generic", "vfio-platform" … */
const char *gc_driver(const struct gc_device *device);
/* The name it was opened by. */
const char *gc_name(const struct gc_device *device);
/* False: a platform device, which has neither configuration space nor a bus master bit. */
bool gc_is_pci(const struct gc_device *device);

/* Configuration space of a PCI function: 1, 2 or 4 bytes at a naturally aligned offset. */
bool gc_config_read(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t *value, struct gc_error *error);
bool gc_config_write(
        struct gc_device *device, unsigned offset, unsigned size, uint32_t value, struct gc_error *error);

/*
 * Sets Bus Master Enable of a PCI function, which allows DMA and MSI or MSI-X messages. Platform devices
 * always have both: nothing is done, successfully.
 */
bool gc_set_bus_master(struct gc_device *device, bool on, struct gc_error *error);

/*
 * Reset by the kernel. Windows stay mapped and configuration space is restored; the device's own state is
 * lost. Interrupts must be off (gc_irq_disable), because drivers differ in what they do with enabled ones.
 */
bool gc_reset(struct gc_device *device, struct gc_error *error);
/* False: the kernel driver has no reset. */
bool gc_can_reset(const struct gc_device *device);
/*
 * Restores the BARs of a PCI function and turns memory decoding on, after a reset that the kernel does not
 * know about.
 */
bool gc_restore(struct gc_device *device, struct gc_error *error);

/* ----------------------------------------------------------------------------------------------- windows */

/*
 * Identifies a window of registers or memory: PCI functions number their windows, platform devices name them.
 */
struct gc_window_place {
    const char *name;
    unsigned bar;
};

struct gc_window {
    struct gc_device *device;
    unsigned index; /* BAR, UIO map or VFIO region */
    size_t size;
    /* NULL if the driver cannot map the window; each access is then a system call. */
    volatile uint8_t *mapped;
};

/* Maps a window once; it stays mapped until gc_close. */
bool gc_window_open(struct gc_device *device, const struct gc_window_place *place, struct gc_window *window,
        struct gc_error *error);

/*
 * One bus access of exactly this size, at a naturally aligned offset inside the window. A write is ordered
 * after all earlier memory writes (descriptors, then doorbell), and a read before all later memory reads.
 */
uint8_t gc_read8(const struct gc_window *window, size_t offset);
uint16_t gc_read16(const struct gc_window *window, size_t offset);
uint32_t gc_read32(const struct gc_window *window, size_t offset);
uint64_t gc_read64(const struct gc_window *window, size_t offset);
void gc_write8(const struct gc_window *window, size_t offset, uint8_t value);
void gc_write16(const struct gc_window *window, size_t offset, uint16_t value);
void gc_write32(const struct gc_window *window, size_t offset, uint32_t value);
void gc_write64(const struct gc_window *window, size_t offset, uint64_t value);

/* For reads of memory that the device writes: earlier reads are done before later ones. */
void gc_read_barrier(void);
/* For writes to memory that the device reads: it sees earlier writes no later than later ones. */
void gc_write_barrier(void);

/* -------------------------------------------------------------------------------------------- interrupts */

/* LINE: the only interrupt of a platform device, whatever it is connected to. */
enum gc_irq_mode { GC_IRQ_INTX, GC_IRQ_MSI, GC_IRQ_MSIX, GC_IRQ_LINE };

const char *gc_irq_mode_name(enum gc_irq_mode mode);

/* The best mode of the driver: MSI-X for vfio-pci, INTx for uio_pci_generic, LINE for platform devices. */
enum gc_irq_mode gc_irq_best_mode(const struct gc_device *device);

enum { GC_MAX_VECTORS = 32 };

/*
 * Enables *vectors interrupts, or only one if no more are available: always for INTx and LINE, and for MSI on
 * an x86 machine without interrupt remapping. *vectors is then 1. MSI and MSI-X only arrive while bus
 * mastering is on.
 */
bool gc_irq_enable(
        struct gc_device *device, enum gc_irq_mode mode, unsigned *vectors, struct gc_error *error);
void gc_irq_disable(struct gc_device *device);

/*
 * Waits for interrupts of `vector`. True with the number taken since the last call, or 0 after the timeout.
 * INTx and LINE are then masked until gc_irq_rearm, which the caller calls once the device no longer asserts
 * the line.
 */
bool gc_irq_wait(
        struct gc_device *device, unsigned vector, int timeout_ms, uint64_t *taken, struct gc_error *error);
bool gc_irq_rearm(struct gc_device *device, struct gc_error *error);

/*
 * INTx and LINE: while masked no interrupt is taken. One that the device still asserts is taken after
 * unmasking.
 */
bool gc_irq_set_masked(struct gc_device *device, bool masked, struct gc_error *error);

/* ------------------------------------------------------------------------------------------------ tracing */

/*
 * Marks this moment in the trace of the run (ghostcard run --trace) with a text of 1 to 1024 bytes: after
 * every earlier register write, and before everything later. Waits at most 10 s until the host has received
 * it. Without a recording, or on a machine without ghostcard, it does nothing, successfully. On failure errno
 * is EMSGSIZE, EINVAL (no text), ETIMEDOUT, or an error of a socket.
 */
__attribute__((format(printf, 1, 2))) bool gc_mark(const char *format, ...);

/* -------------------------------------------------------------------------------------------- DMA memory */

/* A physically contiguous part of a buffer. */
struct gc_dma_segment {
    uint64_t address; /* as the device sees it */
    size_t size;
};

/*
 * Memory that both the device and the program can access. Some drivers map it uncached, which on arm64 is
 * Device memory: unaligned accesses fault there, and so do memcpy() and memset(). Hence `volatile`, and
 * gc_dma_write, gc_dma_read and gc_dma_fill, which only make aligned accesses.
 */
struct gc_dma_buffer {
    struct gc_device *device;
    volatile uint8_t *bytes;
    size_t size;
    size_t segment_count;
    struct gc_dma_segment *segments;
};

/*
 * Allocates at least `size` bytes of zeroed memory, rounded up to the driver's unit, at least a page, and
 * within the device's DMA mask. If the kernel owns the memory (uio_dmem_genirq), there is only as much as the
 * device declares.
 */
bool gc_dma_alloc(
        struct gc_device *device, struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);

/* The address bits that the device drives, 64 at first: its DMA mask, for what is allocated from now on. */
void gc_dma_set_mask(struct gc_device *device, unsigned address_bits);

/* The device must no longer use it, and must still be open. */
void gc_dma_free(struct gc_dma_buffer *buffer);

/* The largest buffer that gc_dma_alloc can allocate in one piece. SIZE_MAX: only memory limits it. */
size_t gc_dma_limit(const struct gc_device *device);

/*
 * Memory with its physical addresses, which no device was given: the target of a stray address. Rounded up to
 * hugepages. Not for DMA: a device behind an IOMMU cannot reach it.
 */
bool gc_physical_alloc(struct gc_dma_buffer *buffer, size_t size, struct gc_error *error);
void gc_physical_free(struct gc_dma_buffer *buffer);

/* Whether an IOMMU translates the device's addresses, so that it can only reach what is mapped for it. */
bool gc_has_iommu(const struct gc_device *device);

/*
 * Maps memory of the program for the device, at a device address (IOVA) that the program chooses. Both
 * addresses and the size are multiples of 4096.
 */
struct gc_dma_mapping {
    volatile void *bytes;
    size_t size;
    uint64_t address;
    bool read_only; /* for the device */
};

/*
 * For programs that map memory themselves: reserves `size` bytes of IOVA space, which gc_dma_alloc then does
 * not use. Fails without an IOMMU.
 */
bool gc_iova_alloc(struct gc_device *device, size_t size, uint64_t *address, struct gc_error *error);
/* Nothing may be mapped there any more. */
void gc_iova_free(struct gc_device *device, uint64_t address);
bool gc_dma_map(struct gc_device *device, const struct gc_dma_mapping *mapping, struct gc_error *error);
/* Unmaps any number of complete mappings. The device cannot reach them once this returns. */
bool gc_dma_unmap(struct gc_device *device, uint64_t address, size_t size, struct gc_error *error);

/* The physical address of a byte of the program, whatever address the device uses. */
bool gc_physical_address(const volatile void *location, uint64_t *address, struct gc_error *error);

void gc_dma_write(const struct gc_dma_buffer *buffer, size_t offset, const void *bytes, size_t size);
void gc_dma_read(const struct gc_dma_buffer *buffer, size_t offset, void *bytes, size_t size);
void gc_dma_fill(const struct gc_dma_buffer *buffer, size_t offset, uint8_t value, size_t size);

/* The part of the buffer from `offset` on that is contiguous for the device, at most `size` bytes. */
struct gc_dma_segment gc_dma_segment_at(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

/* The address of the byte at `offset`, as the device sees it. */
uint64_t gc_dma_address(const struct gc_dma_buffer *buffer, size_t offset);

/*
 * Call these before the device reads what the program has written, and before the program reads what the
 * device has written. For a coherent device they do nothing. The driver of another one sets the method with
 * gc_dma_set_sync.
 */
void gc_dma_sync_for_device(const struct gc_dma_buffer *buffer, size_t offset, size_t size);
void gc_dma_sync_for_cpu(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

enum gc_dma_direction { GC_DMA_FOR_DEVICE, GC_DMA_FOR_CPU };

/* Called for each contiguous part that is synchronised. NULL, the default: nothing is done. */
typedef void gc_dma_sync(void *context, enum gc_dma_direction direction, struct gc_dma_segment part);
void gc_dma_set_sync(struct gc_device *device, gc_dma_sync *sync, void *context);

/* ------------------------------------------------------------------------------------------------- clock */

uint64_t gc_now_ns(void);

/* Time until the deadline, rounded up; 0 after it. */
int gc_left_ms(uint64_t deadline_ns);

#endif
