/* SPDX-License-Identifier: Apache-2.0 */
/* How the cards that come with ghostcard are made to move data, wrongly; see hostile.h. */
#include "hostile.h"

#include "../include/ghostcard_axi_dma_regs.h"
#include "../include/ghostcard_xdma_regs.h"

enum { DESCRIPTORS = 64 };

/* The ring for what reads host memory, or for what writes it, as an offset in the memory. */
static size_t ring_of(bool writes)
{
    return writes ? RING_BYTES : 0;
}

static void put32(struct hostile *h, size_t offset, uint32_t value)
{
    *(volatile uint32_t *)(h->memory.bytes + offset) = value;
}

static void put64(struct hostile *h, size_t offset, uint64_t value)
{
    *(volatile uint64_t *)(h->memory.bytes + offset) = value;
}

/* The address of one of the descriptors; now and then one beyond all RAM, or askew. */
static uint64_t link_to(struct hostile *h, bool writes, unsigned stride)
{
    uint32_t length;
    uint64_t address = h->address + ring_of(writes) + hostile_below(h, DESCRIPTORS) * stride;
    if (hostile_once_in(h, 24))
        return hostile_target(h, true, &length) | UINT64_C(1) << 63;
    return hostile_once_in(h, 24) ? address + 8 : address;
}

/* For a few bytes that the card writes. */
static uint64_t place(struct hostile *h)
{
    uint32_t length;
    return hostile_target(h, true, &length) & ~UINT64_C(15);
}

static uint64_t card_address(struct hostile *h)
{
    return hostile_once_in(h, 4) ? hostile_number(h) : hostile_below(h, 16 << 20);
}

/* ------------------------------------------------------------------------------------------ reference card
 */

static void start_reference(struct hostile *h)
{
    static const uint32_t RING_SIZES[] = {DESCRIPTORS, DESCRIPTORS, DESCRIPTORS, 2, 0, 3, 8192, UINT32_MAX};
    bool writes = hostile_once_in(h, 2);
    unsigned n = (unsigned)hostile_below(h, 2);
    size_t ring = ring_of(writes), base = writes ? GHOSTCARD_REF_C2H(n) : GHOSTCARD_REF_H2C(n);
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        size_t at = ring + i * GHOSTCARD_REF_DESC_SIZE;
        uint32_t length;
        put64(h, at + GHOSTCARD_REF_DESC_HOST_ADDRESS, hostile_target(h, writes, &length));
        put64(h, at + GHOSTCARD_REF_DESC_CARD_ADDRESS, card_address(h));
        put32(h, at + GHOSTCARD_REF_DESC_LENGTH, length);
        put32(h, at + GHOSTCARD_REF_DESC_CONTROL, (uint32_t)hostile_below(h, 8) | !hostile_once_in(h, 16));
    }
    hostile_write(h, 0, base, 4, hostile_once_in(h, 2) ? 2 : hostile_number(h)); /* CONTROL */
    hostile_write(h, 0, GHOSTCARD_REF_PAIR_PROCESSING(n), 4, hostile_below(h, 4));
    hostile_write(h, 0, base + 0x08, 8, /* RING_BASE */
            hostile_once_in(h, 8) ? link_to(h, writes, GHOSTCARD_REF_DESC_SIZE) | UINT64_C(1) << 63
                                  : h->address + ring);
    hostile_write(h, 0, base + 0x10, 4, RING_SIZES[hostile_below(h, 8)]);
    hostile_write(h, 0, base + 0x20, 8, place(h));          /* WRITEBACK_ADDRESS */
    hostile_write(h, 0, base + 0x28, 4, hostile_number(h)); /* MODERATION */
    hostile_write(h, 0, base, 4, hostile_once_in(h, 8) ? hostile_number(h) : 1);
    hostile_write(h, 0, base + 0x14, 4, hostile_below(h, hostile_once_in(h, 4) ? 65536 : DESCRIPTORS));
    hostile_write(h, 0, base + 0x04, 4, 4); /* STATUS: goes on after an error */
}

static void raise_reference(struct hostile *h)
{
    hostile_write(h, 0, GHOSTCARD_REF_IRQ_ENABLE, 4, hostile_number(h));
    hostile_write(h, 0, GHOSTCARD_REF_IRQ_TRIGGER, 4, hostile_number(h));
    if (hostile_once_in(h, 2))
        hostile_write(h, 0, GHOSTCARD_REF_IRQ_STATUS, 4, hostile_number(h));
}

/* -------------------------------------------------------------------------------------------------- XDMA */

static unsigned xdma_bar(struct hostile *h)
{
    return hostile_read(h, 0, GHOSTCARD_XDMA_IRQ_IDENTIFIER(0), 4) >> 16 == 0x1fc2 ? 0 : 1;
}

static void start_xdma(struct hostile *h)
{
    bool writes = hostile_once_in(h, 2);
    unsigned bar = xdma_bar(h), n = (unsigned)hostile_below(h, 4);
    size_t channel = writes ? GHOSTCARD_XDMA_C2H(n) : GHOSTCARD_XDMA_H2C(n);
    size_t sgdma = writes ? GHOSTCARD_XDMA_C2H_SGDMA(n) : GHOSTCARD_XDMA_H2C_SGDMA(n);
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        size_t at = ring_of(writes) + i * GHOSTCARD_XDMA_DESC_SIZE;
        uint32_t length, unused;
        uint64_t host = hostile_target(h, writes, &length);
        /* A C2H channel with streams writes what it has received to its "source". */
        put64(h, at + GHOSTCARD_XDMA_DESC_SOURCE, writes ? hostile_target(h, true, &unused) : host);
        put64(h, at + GHOSTCARD_XDMA_DESC_DESTINATION, writes ? host : card_address(h));
        put64(h, at + GHOSTCARD_XDMA_DESC_NEXT, link_to(h, writes, GHOSTCARD_XDMA_DESC_SIZE));
        put32(h, at + GHOSTCARD_XDMA_DESC_LENGTH, length);
        put32(h, at,
                (hostile_once_in(h, 16) ? 0 : 0xad4b0000) | (uint32_t)hostile_below(h, 64) << 8 |
                        (uint32_t)hostile_below(h, 0x20));
    }
    uint64_t first = link_to(h, writes, GHOSTCARD_XDMA_DESC_SIZE), polled = place(h);
    hostile_write(h, bar, channel + 0x0c, 4, hostile_once_in(h, 2)); /* CONTROL_W1C: stops */
    hostile_write(h, bar, sgdma + 0x80, 4, (uint32_t)first);
    hostile_write(h, bar, sgdma + 0x84, 4, first >> 32);
    hostile_write(h, bar, sgdma + 0x88, 4, hostile_below(h, 64));   /* DESCRIPTOR_ADJACENT */
    hostile_write(h, bar, sgdma + 0x8c, 4, hostile_below(h, 1024)); /* DESCRIPTOR_CREDITS */
    hostile_write(h, bar, channel + 0x88, 4, (uint32_t)polled);
    hostile_write(h, bar, channel + 0x8c, 4, polled >> 32);
    hostile_write(h, bar, channel + 0x90, 4, hostile_number(h)); /* INTERRUPT_ENABLE */
    hostile_write(h, bar, GHOSTCARD_XDMA_IRQ_CHANNEL_ENABLE(0), 4, hostile_number(h));
    hostile_write(
            h, bar, GHOSTCARD_XDMA_SGDMA_CREDIT_MODE(0), 4, hostile_once_in(h, 4) ? hostile_number(h) : 0);
    hostile_write(h, bar, channel + 0x04, 4, hostile_number(h) | 1); /* CONTROL.RUN */
}

static void raise_xdma(struct hostile *h)
{
    hostile_write(h, xdma_bar(h), GHOSTCARD_XDMA_IRQ_USER_ENABLE(0), 4, hostile_number(h));
    hostile_write(h, xdma_bar(h), GHOSTCARD_XDMA_IRQ_CHANNEL_ENABLE(0), 4, hostile_number(h));
}

/* ------------------------------------------------------------------------------------------------- I/OAT */

/* Offsets: emulator/cards/ioat/registers.ts and descriptor.ts. */
static void start_ioat(struct hostile *h)
{
    enum { BYTES = 64 };
    size_t channel = 0x80 + 0x80 * (hostile_once_in(h, 8) ? hostile_below(h, 16) : 0);
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        size_t at = ring_of(true) + i * BYTES;
        uint32_t length, unused;
        put64(h, at + 0x08, hostile_target(h, false, &unused));
        put64(h, at + 0x10, hostile_target(h, true, &length));
        put64(h, at + 0x18, link_to(h, true, BYTES));
        put32(h, at, length);
        put32(h, at + 0x04,
                (uint32_t)hostile_below(h, 1 << 11) |
                        (uint32_t)(hostile_once_in(h, 8) ? hostile_below(h, 256) : hostile_below(h, 2))
                                << 24);
    }
    hostile_write(h, 0, 0x03, 1, hostile_below(h, 16)); /* INTRCTRL */
    if (hostile_once_in(h, 2))
        hostile_write(
                h, 0, channel + 0x04, 1, hostile_once_in(h, 2) ? 0x20 : hostile_number(h)); /* CHANCMD */
    hostile_write(h, 0, channel + 0x00, 2, hostile_number(h));                              /* CHANCTRL */
    hostile_write(h, 0, channel + 0x28, 4, UINT32_MAX);                                     /* CHANERR */
    hostile_write(h, 0, channel + 0x2c, 4, hostile_number(h));                              /* CHANERRMSK */
    hostile_write(h, 0, channel + 0x18, 8, place(h));                                       /* CHANCMP */
    hostile_write(h, 0, channel + 0x10, 8, link_to(h, true, BYTES));                        /* CHAINADDR */
    hostile_write(h, 0, channel + 0x06, 2, hostile_number(h));                              /* DMACOUNT */
}

/* ------------------------------------------------------------------------------------------------ AXI DMA */

static void start_axi_dma_channel(struct hostile *h, bool writes)
{
    enum { BYTES = 64 };
    size_t base = writes ? GHOSTCARD_AXI_DMA_S2MM(0) : GHOSTCARD_AXI_DMA_MM2S(0);
    uint32_t length;
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        size_t at = ring_of(writes) + i * BYTES;
        put64(h, at + GHOSTCARD_AXI_DMA_DESC_NXTDESC, link_to(h, writes, BYTES));
        put64(h, at + GHOSTCARD_AXI_DMA_DESC_BUFFER_ADDRESS, hostile_target(h, writes, &length));
        put32(h, at + GHOSTCARD_AXI_DMA_DESC_CONTROL,
                (length & GHOSTCARD_AXI_DMA_DESC_CONTROL_LENGTH_MASK) | (uint32_t)hostile_below(h, 4) << 26);
        put32(h, at + GHOSTCARD_AXI_DMA_DESC_STATUS,
                hostile_once_in(h, 16) ? (uint32_t)hostile_number(h) : 0);
    }
    uint64_t first = link_to(h, writes, BYTES), last = link_to(h, writes, BYTES);
    if (hostile_once_in(h, 2))
        hostile_write(h, 0, base, 4, 4); /* DMACR.RESET */
    hostile_write(h, 0, base + 0x08, 4, (uint32_t)first);
    hostile_write(h, 0, base + 0x0c, 4, first >> 32);
    hostile_write(h, 0, base, 4, (hostile_number(h) & ~UINT64_C(4)) | 1); /* DMACR.RS */
    hostile_write(h, 0, base + 0x10, 4, (uint32_t)last);
    hostile_write(h, 0, base + 0x14, 4, last >> 32);
    /* Without scatter-gather. */
    uint64_t target = hostile_target(h, writes, &length);
    hostile_write(h, 0, base + 0x18, 4, (uint32_t)target);
    hostile_write(h, 0, base + 0x1c, 4, target >> 32);
    hostile_write(h, 0, base + 0x28, 4, length);
}

static void start_axi_dma(struct hostile *h)
{
    start_axi_dma_channel(h, hostile_once_in(h, 2));
    start_axi_dma_channel(h, hostile_once_in(h, 2));
}

/* --------------------------------------------------------------------------------- PCI endpoint test
 * function */

/* Offsets: emulator/cards/pci-endpoint-test/registers.ts. */
static void start_endpoint_test(struct hostile *h)
{
    uint32_t length, unused;
    uint64_t source = hostile_target(h, false, &unused), target = hostile_target(h, true, &length);
    hostile_write(h, 0, 0x1c, 4, 0); /* SIZE: nothing to do for a command that has not begun yet */
    hostile_write(h, 0, 0x0c, 4, (uint32_t)source);
    hostile_write(h, 0, 0x10, 4, source >> 32);
    hostile_write(h, 0, 0x14, 4, (uint32_t)target);
    hostile_write(h, 0, 0x18, 4, target >> 32);
    hostile_write(h, 0, 0x1c, 4, length);
    hostile_write(
            h, 0, 0x24, 4, hostile_once_in(h, 8) ? hostile_number(h) : hostile_below(h, 4)); /* IRQ_TYPE */
    hostile_write(h, 0, 0x28, 4, hostile_number(h));                                         /* IRQ_NUMBER */
    hostile_write(h, 0, 0x2c, 4, hostile_below(h, 2));                                       /* FLAGS */
    hostile_write(
            h, 0, 0x04, 4, hostile_once_in(h, 8) ? hostile_number(h) : hostile_below(h, 64)); /* COMMAND */
}

static void raise_endpoint_test(struct hostile *h)
{
    hostile_write(h, 0, 0x24, 4, hostile_below(h, 3));
    hostile_write(h, 0, 0x28, 4, 1 + hostile_below(h, 32));
    hostile_write(h, 0, 0x04, 4, UINT64_C(1) << hostile_below(h, 3));
    if (hostile_once_in(h, 2))
        hostile_write(h, 0, 0x08, 4, hostile_number(h)); /* STATUS */
}

const struct hostile_engine *hostile_engine_of(uint16_t vendor, uint16_t device)
{
    static const struct hostile_engine ENGINES[] = {
            {REF_VENDOR_ID, REF_DEVICE_ID, start_reference, raise_reference},
            {0x1234, 0x4746, start_axi_dma, NULL},
            {0x10ee, 0, start_xdma, raise_xdma},
            {0x8086, 0x2021, start_ioat, NULL},
            {0x8086, 0x6f50, start_ioat, NULL},
            {0x8086, 0x0b00, start_ioat, NULL},
            {0x104c, 0xb500, start_endpoint_test, raise_endpoint_test},
    };
    for (size_t i = 0; i < sizeof(ENGINES) / sizeof(ENGINES[0]); i++)
        if (ENGINES[i].vendor == vendor && (ENGINES[i].device == device || ENGINES[i].device == 0))
            return &ENGINES[i];
    return NULL;
}
