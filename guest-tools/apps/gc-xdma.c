/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for AMD's XDMA core (PG195) in user space: chains of descriptors to the card and back, completion
 * by interrupt and by polled count, packets of streams, errors, and interrupts of the design behind the core.
 *
 * The design's BAR, if there is one, begins with a register whose bit n drives user interrupt n.
 */
#include "app.h"

#include "../include/ghostcard_xdma_regs.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

#define FIELD(value, name) (((uint32_t)(value) << name##_SHIFT) & name##_MASK)

enum {
    BLOCK = 32, /* adjacent descriptors, of which 128 are in a page */
    POLLED_AT = 4096,
    RESULTS_AT = 4160,
    RESULT_STRIDE = 64,
    CONTROL_BYTES = 8192,
    DATA_BYTES = 1 << 18,
};

/* Offsets of registers from the first one of a channel, which are the same for all. */
enum {
    CONTROL = GHOSTCARD_XDMA_H2C_CONTROL(0),
    CONTROL_W1C = GHOSTCARD_XDMA_H2C_CONTROL_W1C(0),
    STATUS_RC = GHOSTCARD_XDMA_H2C_STATUS_RC(0),
    COMPLETED_COUNT = GHOSTCARD_XDMA_H2C_COMPLETED_COUNT(0),
    POLL_MODE_ADDRESS = GHOSTCARD_XDMA_H2C_POLL_MODE_LOW_WB_ADDRESS(0),
    INTERRUPT_ENABLE = GHOSTCARD_XDMA_H2C_INTERRUPT_ENABLE(0),
    DESCRIPTOR_ADDRESS = GHOSTCARD_XDMA_H2C_SGDMA_DESCRIPTOR_LOW_ADDRESS(0),
    DESCRIPTOR_ADJACENT = GHOSTCARD_XDMA_H2C_SGDMA_DESCRIPTOR_ADJACENT(0),
};

static const uint32_t DONE = GHOSTCARD_XDMA_H2C_STATUS_DESCRIPTOR_STOPPED_MASK |
                             GHOSTCARD_XDMA_H2C_STATUS_DESCRIPTOR_COMPLETED_MASK;
/* As STATUS has them: CONTROL enables what is logged, INTERRUPT_ENABLE what interrupts. */
static const uint32_t EVENTS =
        GHOSTCARD_XDMA_H2C_STATUS_DESCRIPTOR_STOPPED_MASK |
        GHOSTCARD_XDMA_H2C_STATUS_DESCRIPTOR_COMPLETED_MASK | GHOSTCARD_XDMA_H2C_STATUS_ALIGN_MISMATCH_MASK |
        GHOSTCARD_XDMA_H2C_STATUS_MAGIC_STOPPED_MASK | GHOSTCARD_XDMA_H2C_STATUS_READ_ERROR_MASK |
        GHOSTCARD_XDMA_H2C_STATUS_WRITE_ERROR_MASK | GHOSTCARD_XDMA_H2C_STATUS_DESC_ERROR_MASK;

struct core {
    struct app *app;
    struct gc_device *device;
    struct gc_window registers, design;
    bool has_design, is_stream;
    unsigned h2c_channels, c2h_channels;
    unsigned vectors;
    uint64_t spare; /* messages of a shared vector that were taken with an earlier one */
};

struct channel {
    struct core *core;
    size_t base;
    bool to_card;
    unsigned vector;
    struct gc_dma_buffer control; /* descriptors, polled count, results of a stream */
    struct gc_dma_buffer data;
};

struct piece {
    size_t offset; /* in the channel's data */
    uint64_t card_address;
    uint32_t size, magic;
    bool end_of_packet;
};

static uint32_t read_register(const struct channel *channel, size_t offset)
{
    return gc_read32(&channel->core->registers, channel->base + offset);
}

static void write_register(const struct channel *channel, size_t offset, uint32_t value)
{
    gc_write32(&channel->core->registers, channel->base + offset, value);
}

/* The core takes accesses of 32 bits only. */
static void write_address(const struct channel *channel, size_t offset, uint64_t address)
{
    write_register(channel, offset, (uint32_t)address);
    write_register(channel, offset + 4, (uint32_t)(address >> 32));
}

/* How many descriptors lie behind number `index` in its block. */
static unsigned behind(unsigned index, unsigned count)
{
    unsigned in_block = BLOCK - index % BLOCK, left = count > index ? count - index : 1;
    return (in_block < left ? in_block : left) - 1;
}

static void write_chain(const struct channel *channel, const struct piece *pieces, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct piece *piece = &pieces[i];
        bool is_last = i + 1 == count;
        uint64_t host = gc_dma_address(&channel->data, piece->offset);
        uint64_t card = channel->core->is_stream
                                ? gc_dma_address(&channel->control, RESULTS_AT + (size_t)i * RESULT_STRIDE)
                                : piece->card_address;
        uint64_t next = is_last ? 0 : gc_dma_address(&channel->control, (i + 1) * GHOSTCARD_XDMA_DESC_SIZE);
        uint64_t words[4] = {
                FIELD(piece->magic, GHOSTCARD_XDMA_DESC_CONTROL_MAGIC) |
                        FIELD(is_last ? 0 : behind(i + 1, count), GHOSTCARD_XDMA_DESC_CONTROL_NXT_ADJ) |
                        FIELD(piece->end_of_packet, GHOSTCARD_XDMA_DESC_CONTROL_EOP) |
                        FIELD(is_last, GHOSTCARD_XDMA_DESC_CONTROL_COMPLETED) |
                        FIELD(is_last, GHOSTCARD_XDMA_DESC_CONTROL_STOP) | (uint64_t)piece->size << 32,
                channel->to_card ? host : card,
                channel->to_card ? card : host,
                next,
        };
        gc_dma_write(&channel->control, i * sizeof(words), words, sizeof(words));
    }
    write_address(channel, DESCRIPTOR_ADDRESS, gc_dma_address(&channel->control, 0));
    write_register(channel, DESCRIPTOR_ADJACENT, behind(0, count));
}

static void start(const struct channel *channel, uint32_t more)
{
    gc_dma_fill(&channel->control, POLLED_AT, 0, 4);
    write_register(channel, CONTROL_W1C, GHOSTCARD_XDMA_H2C_CONTROL_RUN_MASK);
    write_register(channel, CONTROL, GHOSTCARD_XDMA_H2C_CONTROL_RUN_MASK | EVENTS | more);
}

/* Waits for the channel's interrupt; returns what it was about, 0 if none came. */
static uint32_t wait_interrupt(const struct channel *channel)
{
    struct app *app = channel->core->app;
    struct core *core = channel->core;
    struct gc_error error;
    uint64_t taken = core->spare;
    if (taken == 0 && !gc_irq_wait(core->device, channel->vector, APP_WAIT_MS, &taken, &error))
        return app_error(app, &error);
    app->interrupts += taken > 0;
    core->spare = core->vectors == 1 && taken > 0 ? taken - 1 : 0;
    uint32_t status = taken > 0 ? read_register(channel, STATUS_RC) : 0; /* clears it */
    if (app->irq_mode == GC_IRQ_INTX && !gc_irq_rearm(core->device, &error))
        return app_error(app, &error);
    return status;
}

/* Waits for `count` descriptors in the polled count; returns what it says in the end. */
static uint32_t wait_polled(const struct channel *channel, unsigned count)
{
    uint32_t polled = 0;
    uint64_t give_up_ns = gc_now_ns() + (uint64_t)APP_WAIT_MS * 1000000;
    do {
        sched_yield();
        gc_dma_read(&channel->control, POLLED_AT, &polled, sizeof(polled));
    } while (polled < count && gc_now_ns() < give_up_ns);
    gc_read_barrier();
    return polled;
}

static bool open_channel(struct core *core, struct channel *channel, bool to_card, unsigned number)
{
    struct gc_error error;
    unsigned source = to_card ? number : core->h2c_channels + number;
    *channel = (struct channel){.core = core, .to_card = to_card};
    channel->base = to_card ? GHOSTCARD_XDMA_H2C(number) : GHOSTCARD_XDMA_C2H(number);
    channel->vector = source % core->vectors;
    if (!gc_dma_alloc(core->device, &channel->control, CONTROL_BYTES, &error) ||
            !gc_dma_alloc(core->device, &channel->data, DATA_BYTES, &error))
        return app_error(core->app, &error);
    size_t vectors = GHOSTCARD_XDMA_IRQ_CHANNEL_VECTORS_0(0) + source / 4 * 4;
    uint32_t others = gc_read32(&core->registers, vectors) & ~(0x1fu << source % 4 * 8);
    gc_write32(&core->registers, vectors, others | channel->vector << source % 4 * 8);
    gc_write32(&core->registers, GHOSTCARD_XDMA_IRQ_CHANNEL_ENABLE_W1S(0), 1u << source);
    write_address(channel, POLL_MODE_ADDRESS, gc_dma_address(&channel->control, POLLED_AT));
    write_register(channel, INTERRUPT_ENABLE, EVENTS);
    return true;
}

static void close_channel(struct channel *channel)
{
    write_register(channel, CONTROL_W1C, GHOSTCARD_XDMA_H2C_CONTROL_RUN_MASK);
    write_register(channel, INTERRUPT_ENABLE, 0);
    if (channel->data.bytes)
        gc_dma_free(&channel->data);
    if (channel->control.bytes)
        gc_dma_free(&channel->control);
}

static void fill(const struct channel *channel, size_t size, unsigned seed)
{
    uint8_t bytes[1024];
    for (size_t at = 0; at < size; at += sizeof(bytes)) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)((at + i) * 7 + seed + (at >> 8));
        gc_dma_write(&channel->data, at, bytes, sizeof(bytes));
    }
}

static bool is_same(const struct channel *one, const struct channel *other, size_t size)
{
    uint8_t a[1000], b[1000];
    for (size_t at = 0; at < size; at += sizeof(a)) {
        size_t part = size - at < sizeof(a) ? size - at : sizeof(a);
        gc_dma_read(&one->data, at, a, part);
        gc_dma_read(&other->data, at, b, part);
        if (memcmp(a, b, part) != 0)
            return false;
    }
    return true;
}

static unsigned pieces_of(struct piece *pieces, unsigned count, uint32_t size)
{
    for (unsigned i = 0; i < count; i++)
        pieces[i] = (struct piece){(size_t)i * size, 0x1000 + (uint64_t)i * size, size, 0xad4b, false};
    return count;
}

static void check_memory(struct core *core, struct channel *h2c, struct channel *c2h, unsigned number)
{
    struct app *app = core->app;
    struct piece pieces[128];
    unsigned count = pieces_of(pieces, 100, 1001);
    size_t bytes = (size_t)count * 1001;
    fill(h2c, DATA_BYTES, number);
    gc_dma_fill(&c2h->data, 0, 0, DATA_BYTES);
    struct channel *channels[] = {h2c, c2h};
    for (unsigned i = 0; i < 2; i++) {
        write_chain(channels[i], pieces, count);
        start(channels[i], 0);
        uint32_t status = wait_interrupt(channels[i]),
                 completed = read_register(channels[i], COMPLETED_COUNT);
        app_check(app, status == DONE && completed == count,
                "%s%u interrupts after %u of %u descriptors (0x%x)", i == 0 ? "H2C" : "C2H", number,
                completed, count, status);
    }
    app_check(app, is_same(h2c, c2h, bytes), "%zu bytes are as they were sent by channel %u", bytes, number);

    /* Polled: no event interrupts. */
    count = pieces_of(pieces, 3, 4096);
    fill(h2c, DATA_BYTES, number + 1);
    for (unsigned i = 0; i < 2; i++) {
        write_register(channels[i], INTERRUPT_ENABLE, 0);
        write_chain(channels[i], pieces, count);
        start(channels[i], GHOSTCARD_XDMA_H2C_CONTROL_POLLMODE_WB_ENABLE_MASK);
        uint32_t polled = wait_polled(channels[i], count);
        app_check(app, polled == count, "%s%u writes back that %u of %u descriptors are complete",
                i == 0 ? "H2C" : "C2H", number, polled, count);
        read_register(channels[i], STATUS_RC);
        write_register(channels[i], INTERRUPT_ENABLE, EVENTS);
    }
    app_check(app, is_same(h2c, c2h, (size_t)count * 4096), "and so are the bytes of a driver that polls");
    app->bytes += 2 * (bytes + (size_t)count * 4096);

    count = pieces_of(pieces, 4, 64);
    pieces[2].magic = 0xad4a;
    write_chain(h2c, pieces, count);
    start(h2c, 0);
    uint32_t status = wait_interrupt(h2c), completed = read_register(h2c, COMPLETED_COUNT);
    app_check(app, status == GHOSTCARD_XDMA_H2C_STATUS_MAGIC_STOPPED_MASK && completed == 2,
            "H2C%u stops at a descriptor without the magic number (0x%x)", number, status);
}

static void check_stream(struct core *core, struct channel *h2c, struct channel *c2h, unsigned number)
{
    struct app *app = core->app;
    struct piece pieces[8], packets[2] = {{0, 0, 6000, 0xad4b, true}, {6000, 0, 300, 0xad4b, true}};
    uint32_t result[3][2];
    fill(h2c, 8192, number);
    write_chain(c2h, pieces, pieces_of(pieces, 3, 4096));
    start(c2h, 0);
    write_chain(h2c, packets, 2);
    start(h2c, 0);
    app_check(app, wait_interrupt(h2c) == DONE, "H2C%u sends two packets", number);
    app_check(app, wait_interrupt(c2h) == DONE, "C2H%u receives them by three descriptors", number);
    for (unsigned i = 0; i < 3; i++)
        gc_dma_read(&c2h->control, RESULTS_AT + (size_t)i * RESULT_STRIDE, result[i], sizeof(result[i]));
    app_check(app,
            result[0][0] == 0x52b40000 && result[0][1] == 4096 && result[1][0] == 0x52b40001 &&
                    result[1][1] == 1904 && result[2][0] == 0x52b40001 && result[2][1] == 300,
            "with %u, %u and %u bytes, the last two at the end of a packet", result[0][1], result[1][1],
            result[2][1]);
    app_check(app, is_same(h2c, c2h, 6000), "and the bytes of the first are as they were sent");
    app->bytes += 2 * 6300;
}

static void check_user_interrupts(struct core *core)
{
    struct app *app = core->app;
    struct gc_error error;
    const struct gc_window *registers = &core->registers;
    unsigned vector = (core->h2c_channels + core->c2h_channels) % core->vectors;
    gc_write32(registers, GHOSTCARD_XDMA_IRQ_USER_VECTORS_0(0), vector << 8);
    gc_write32(registers, GHOSTCARD_XDMA_IRQ_USER_ENABLE_W1S(0), 2);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t taken = 0;
        gc_write32(&core->design, 0, 2);
        if (!gc_irq_wait(core->device, vector, APP_WAIT_MS, &taken, &error)) {
            app_error(app, &error);
            return;
        }
        app->interrupts += taken;
        uint32_t request = gc_read32(registers, GHOSTCARD_XDMA_IRQ_USER_REQUEST(0));
        gc_write32(&core->design, 0, 0);
        uint32_t left = gc_read32(registers, GHOSTCARD_XDMA_IRQ_USER_PENDING(0));
        if (app->irq_mode == GC_IRQ_INTX && !gc_irq_rearm(core->device, &error))
            app_error(app, &error);
        app_check(app, taken == 1 && request == 2 && left == 0,
                "user interrupt 1 arrives once (%" PRIu64 "), is shown (0x%x), and gone when its line is",
                taken, request);
    }
    gc_write32(registers, GHOSTCARD_XDMA_IRQ_USER_ENABLE_W1C(0), 2);
}

static unsigned count_channels(const struct core *core, size_t first, uint32_t target)
{
    unsigned count = 0;
    while (count < 4 && gc_read32(&core->registers, first + count * 0x100u) >> 16 == target)
        count++;
    return count;
}

/* The core is in BAR 0, or in BAR 1 behind that of the design. */
static bool find_core(struct core *core)
{
    struct gc_error error;
    if (!gc_window_open(core->device, &(struct gc_window_place){.bar = 0}, &core->registers, &error))
        return app_give_up(core->app, error.message);
    if (core->registers.size < GHOSTCARD_XDMA_SIZE ||
            gc_read32(&core->registers, GHOSTCARD_XDMA_IRQ_IDENTIFIER(0)) >> 16 != 0x1fc2) {
        core->design = core->registers;
        core->has_design = true;
        if (!gc_window_open(core->device, &(struct gc_window_place){.bar = 1}, &core->registers, &error))
            return app_give_up(core->app, error.message);
    }
    uint32_t identifier = gc_read32(&core->registers, GHOSTCARD_XDMA_H2C_IDENTIFIER(0));
    core->is_stream = identifier & 0x8000;
    core->h2c_channels = count_channels(core, GHOSTCARD_XDMA_H2C(0), 0x1fc0);
    core->c2h_channels = count_channels(core, GHOSTCARD_XDMA_C2H(0), 0x1fc1);
    return app_check(core->app, core->h2c_channels > 0 && core->c2h_channels > 0,
            "an XDMA core with %u H2C and %u C2H channels, %s (0x%x)", core->h2c_channels, core->c2h_channels,
            core->is_stream ? "streams" : "memory-mapped", identifier);
}

static void check_core(struct core *core)
{
    struct app *app = core->app;
    struct gc_error error;
    core->vectors = app->irq_mode == GC_IRQ_MSIX ? GC_MAX_VECTORS : 1; /* of MSI, Linux grants one */
    if (!gc_set_bus_master(core->device, true, &error) ||
            !gc_irq_enable(core->device, app->irq_mode, &core->vectors, &error)) {
        app_give_up(app, error.message);
        return;
    }
    app_say(app, "interrupts by %s, %u vector(s)\n", gc_irq_mode_name(app->irq_mode), core->vectors);
    for (unsigned n = 0; n < core->h2c_channels && n < core->c2h_channels; n++) {
        struct channel h2c, c2h = {.core = core};
        if (open_channel(core, &h2c, true, n) && open_channel(core, &c2h, false, n))
            (core->is_stream ? check_stream : check_memory)(core, &h2c, &c2h, n);
        close_channel(&c2h);
        close_channel(&h2c);
    }
    if (core->has_design)
        check_user_interrupts(core);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-xdma", "drives a card with AMD's XDMA core", "", NULL};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    struct core core = {.app = &app, .device = app_open_device(&app)};
    if (core.device && find_core(&core))
        check_core(&core);
    gc_close(core.device);
    return app_end(&app);
}
