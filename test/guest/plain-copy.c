/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain-copy PCI_ADDRESS: one right copy of host memory by an I/OAT card or the PCI endpoint test function,
 * compared byte by byte. Completion is polled. Exit code 0: the bytes have arrived, and none beside them.
 */
#include "lib/ghostcard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 100000, GUARD = 64, DESCRIPTOR = 64 };

static void give_up(const char *what)
{
    fprintf(stderr, "plain-copy: %s\n", what);
    exit(1);
}

static void copy_by_ioat(
        const struct gc_window *bar, const struct gc_dma_buffer *memory, uint64_t source, uint64_t target)
{
    const uint64_t address = gc_dma_address(memory, 0);
    const struct {
        uint32_t size, control;
        uint64_t source, target, next;
    } descriptor = {SIZE, 1 << 3, source, target, address};
    gc_dma_write(memory, 0, &descriptor, sizeof(descriptor));
    gc_write8(bar, 0x84, 0x20);                  /* CHANCMD: reset */
    gc_write32(bar, 0xa8, UINT32_MAX);           /* CHANERR */
    gc_write64(bar, 0x98, address + DESCRIPTOR); /* CHANCMP */
    gc_write64(bar, 0x90, address);              /* CHAINADDR */
    gc_write16(bar, 0x86, 1);                    /* DMACOUNT */
}

static void copy_by_endpoint(const struct gc_window *bar, uint64_t source, uint64_t target)
{
    gc_write32(bar, 0x0c, (uint32_t)source);
    gc_write32(bar, 0x10, (uint32_t)(source >> 32));
    gc_write32(bar, 0x14, (uint32_t)target);
    gc_write32(bar, 0x18, (uint32_t)(target >> 32));
    gc_write32(bar, 0x1c, SIZE);
    gc_write32(bar, 0x2c, 0);      /* FLAGS */
    gc_write32(bar, 0x04, 1 << 5); /* COMMAND: copy */
}

int main(int argc, char **argv)
{
    struct gc_error error;
    struct gc_window bar;
    struct gc_dma_buffer memory;
    uint32_t ids = 0;
    struct gc_device *device = argc == 2 ? gc_open(argv[1], &error) : NULL;
    if (!device || !gc_window_open(device, &(struct gc_window_place){.bar = 0}, &bar, &error) ||
            !gc_config_read(device, 0, 4, &ids, &error) || !gc_set_bus_master(device, true, &error) ||
            !gc_dma_alloc(device, &memory, 1 << 20, &error))
        give_up(argc == 2 ? error.message : "usage: plain-copy PCI_ADDRESS");
    const size_t source = 4096, target = source + SIZE + GUARD;
    for (size_t i = 0; i < SIZE; i++)
        memory.bytes[source + i] = (uint8_t)(i * 7 + i / 251);
    if ((ids & 0xffff) == 0x8086)
        copy_by_ioat(&bar, &memory, gc_dma_address(&memory, source), gc_dma_address(&memory, target));
    else
        copy_by_endpoint(&bar, gc_dma_address(&memory, source), gc_dma_address(&memory, target));
    const uint64_t deadline = gc_now_ns() + UINT64_C(10000000000);
    while (memory.bytes[target + SIZE - 1] != memory.bytes[source + SIZE - 1])
        if (gc_left_ms(deadline) == 0)
            give_up("the last byte has not arrived within 10 s");
    gc_read_barrier();
    for (size_t i = 0; i < SIZE; i++)
        if (memory.bytes[target + i] != memory.bytes[source + i])
            give_up("a byte differs");
    for (size_t i = 0; i < GUARD; i++)
        if (memory.bytes[target + SIZE + i] != 0 || memory.bytes[target - 1 - i] != 0)
            give_up("a byte beside the target has changed");
    gc_dma_free(&memory);
    gc_close(device);
    return 0;
}
