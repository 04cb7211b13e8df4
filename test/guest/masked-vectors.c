/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VFIO driver that masks MSI-X vectors, for masked-vectors.test.ts: by the function mask, which the kernel
 * keeps from VFIO and lets sysfs write, and in the table, in BAR 2. Prints after each step how many
 * interrupts of vector 2 have come since the last, and the pending bits.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    VECTORS = 4,
    MASKED = 2,
    OTHER = 3,
    RING = 4, /* of BAR 0 */
    VECTOR_CONTROL = 16 * MASKED + 12,
    PENDING = 0x1000, /* of BAR 2 */
    FUNCTION_MASK = 0x4000,
};

static volatile uint8_t *registers, *messages;
static int events[VECTORS], config;
static off_t control;

static void end(const char *what)
{
    perror(what);
    exit(1);
}

static volatile uint8_t *map_bar(int device, unsigned index)
{
    struct vfio_region_info region = {.argsz = sizeof(region), .index = index};
    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
        end("region");
    void *mapped = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, region.offset);
    if (mapped == MAP_FAILED)
        end("mmap");
    return mapped;
}

static uint32_t read32(volatile uint8_t *window, unsigned offset)
{
    return *(volatile uint32_t *)(window + offset);
}

static void write32(volatile uint8_t *window, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(window + offset) = value;
}

/* When this returns, the card has signalled the vector. */
static void ring(unsigned vector)
{
    write32(registers, RING, vector);
    read32(registers, 0);
}

static void await(unsigned vector)
{
    struct pollfd ready = {.fd = events[vector], .events = POLLIN};
    if (poll(&ready, 1, 10000) != 1)
        end("no interrupt");
}

/* Any interrupt that was on its way before has come when that of the other vector has. */
static void report(const char *step)
{
    uint64_t other, count = 0;
    ring(OTHER);
    await(OTHER);
    if (read(events[OTHER], &other, sizeof(other)) != sizeof(other))
        end("read");
    if (read(events[MASKED], &count, sizeof(count)) != sizeof(count))
        count = 0;
    printf("%s: %u\n", step, (unsigned)count);
}

static void set_function_mask(uint16_t mask)
{
    uint16_t value;
    if (pread(config, &value, sizeof(value), control) != sizeof(value))
        end("config");
    value = (value & ~FUNCTION_MASK) | mask;
    if (pwrite(config, &value, sizeof(value), control) != sizeof(value))
        end("config");
}

/* Offset of Message Control. */
static off_t find_msix(void)
{
    uint8_t at, capability[2];
    if (pread(config, &at, 1, 0x34) != 1)
        end("config");
    while (at && pread(config, capability, 2, at) == 2 && capability[0] != 0x11)
        at = capability[1];
    return at + 2;
}

static void open_card(void)
{
    char path[64], request[sizeof(struct vfio_irq_set) + sizeof(events)];
    const char *address = getenv("GHOSTCARD_PCI_ADDRESS");
    int container = open("/dev/vfio/vfio", O_RDWR), group = open(getenv("GHOSTCARD_DEVICE"), O_RDWR);
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
            ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU))
        end("group");
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
    config = open(path, O_RDWR);
    if (device < 0 || config < 0)
        end("device");
    registers = map_bar(device, 0);
    messages = map_bar(device, 2);
    control = find_msix();
    uint16_t command = 0x6; /* memory, bus master */
    if (pwrite(config, &command, sizeof(command), 4) != sizeof(command))
        end("config");
    for (int i = 0; i < VECTORS; i++)
        events[i] = eventfd(0, EFD_NONBLOCK);
    struct vfio_irq_set *set = (struct vfio_irq_set *)request;
    *set = (struct vfio_irq_set){.argsz = sizeof(request),
            .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
            .index = VFIO_PCI_MSIX_IRQ_INDEX,
            .count = VECTORS};
    memcpy(set->data, events, sizeof(events));
    if (ioctl(device, VFIO_DEVICE_SET_IRQS, set))
        end("interrupts");
}

int main(void)
{
    open_card();
    ring(MASKED);
    report("unmasked");

    set_function_mask(FUNCTION_MASK);
    ring(MASKED);
    ring(MASKED);
    printf("pending behind the function mask: %#x\n", read32(messages, PENDING));
    set_function_mask(0);
    report("after the function mask");

    write32(messages, VECTOR_CONTROL, 1);
    ring(MASKED);
    ring(MASKED);
    ring(MASKED);
    report("masked in the table");
    printf("pending behind the table: %#x\n", read32(messages, PENDING));
    write32(messages, VECTOR_CONTROL, 0);
    report("after the table");
    return 0;
}
