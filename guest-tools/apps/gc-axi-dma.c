/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for AMD's AXI DMA (PG021) in user space: packets from memory to the stream and back through a
 * loopback, with scatter-gather, coalesced interrupts, and the error that needs a reset.
 *
 * Whether the core is coherent is not in its registers. On a board a driver knows it from the device tree;
 * here the option --sync says that it is not.
 */
#include "app.h"

#include "../include/ghostcard_axi_dma_regs.h"

#include <inttypes.h>
#include <string.h>

#define REG(name) GHOSTCARD_AXI_DMA_MM2S_##name(0)
#define BIT(name) GHOSTCARD_AXI_DMA_MM2S_##name##_MASK
#define DESC(name) GHOSTCARD_AXI_DMA_DESC_##name##_MASK

enum {
    STRIDE = 64,
    RING = 64, /* descriptors: a page */
    PACKETS = 32,
    SLOT = 2048,
    ROUNDS = 5,
    THRESHOLD = 8,
};

static const uint32_t IRQS = BIT(DMASR_IOC_IRQ) | BIT(DMASR_DLY_IRQ) | BIT(DMASR_ERR_IRQ);
static bool needs_sync;

struct core;

struct channel {
    struct core *core;
    const char *name;
    size_t base;
    struct gc_dma_buffer ring, data;
    unsigned next; /* descriptor */
    uint32_t seen; /* interrupts, as DMASR has them */
};

struct core {
    struct app *app;
    struct gc_device *device;
    struct gc_window registers;
    struct channel mm2s, s2mm;
};

static uint32_t read_register(const struct channel *channel, size_t offset)
{
    return gc_read32(&channel->core->registers, channel->base + offset);
}

static void write_register(const struct channel *channel, size_t offset, uint32_t value)
{
    gc_write32(&channel->core->registers, channel->base + offset, value);
}

/* The upper half last: with more than 32 address bits, it is what starts the channel. */
static void write_pointer(const struct channel *channel, size_t offset, uint64_t address)
{
    write_register(channel, offset, (uint32_t)address);
    write_register(channel, offset + 4, (uint32_t)(address >> 32));
}

static void sync_memory(void *context, enum gc_dma_direction direction, struct gc_dma_segment part)
{
    struct core *core = context;
    gc_write64(&core->registers, GHOSTCARD_AXI_DMA_SYNC_ADDRESS(0), part.address);
    gc_write32(&core->registers, GHOSTCARD_AXI_DMA_SYNC_SIZE(0), (uint32_t)part.size);
    gc_write32(&core->registers,
            direction == GC_DMA_FOR_DEVICE ? GHOSTCARD_AXI_DMA_SYNC_FOR_DEVICE(0)
                                           : GHOSTCARD_AXI_DMA_SYNC_FOR_CPU(0),
            1);
    uint32_t status = gc_read32(&core->registers, GHOSTCARD_AXI_DMA_SYNC_STATUS(0));
    if (status != 0)
        app_check(core->app, false, "memory cannot be synchronised (0x%x)", status);
}

/* Hands a descriptor to the core with the next tail. */
static void put(struct channel *channel, size_t offset, uint32_t control)
{
    unsigned index = channel->next;
    channel->next = (index + 1) % RING;
    uint64_t words[STRIDE / 8] = {
            gc_dma_address(&channel->ring, (size_t)channel->next * STRIDE),
            gc_dma_address(&channel->data, offset),
            0,
            control, /* and a status of 0 */
    };
    gc_dma_write(&channel->ring, (size_t)index * STRIDE, words, sizeof(words));
    gc_dma_sync_for_device(&channel->ring, (size_t)index * STRIDE, STRIDE);
}

static void move_tail(const struct channel *channel)
{
    unsigned last = (channel->next + RING - 1) % RING;
    write_pointer(channel, REG(TAILDESC), gc_dma_address(&channel->ring, (size_t)last * STRIDE));
}

static uint32_t status_of(const struct channel *channel, unsigned index)
{
    uint32_t status;
    size_t at = (size_t)(index % RING) * STRIDE;
    gc_dma_sync_for_cpu(&channel->ring, at, STRIDE);
    gc_dma_read(&channel->ring, at + 0x1c, &status, sizeof(status));
    gc_read_barrier(); /* what it says is complete is read afterwards */
    return status;
}

static void start(struct channel *channel)
{
    channel->next = 0;
    write_pointer(channel, REG(CURDESC), gc_dma_address(&channel->ring, 0));
    write_register(channel, REG(DMACR),
            BIT(DMACR_RS) | BIT(DMACR_IOC_IRQ_EN) | BIT(DMACR_ERR_IRQ_EN) |
                    THRESHOLD << GHOSTCARD_AXI_DMA_MM2S_DMACR_IRQ_THRESHOLD_SHIFT);
}

static void acknowledge(struct channel *channel)
{
    uint32_t status = read_register(channel, REG(DMASR));
    channel->seen |= status;
    if (status & IRQS)
        write_register(channel, REG(DMASR), status & IRQS);
}

/* Waits until a channel has shown one of these bits in DMASR. */
static bool wait_for(struct channel *channel, uint32_t bits)
{
    struct core *core = channel->core;
    struct gc_error error;
    while (!(channel->seen & bits)) {
        uint64_t taken = 0;
        if (!gc_irq_wait(core->device, 0, APP_WAIT_MS, &taken, &error))
            return app_error(core->app, &error);
        if (taken == 0)
            return app_check(core->app, false, "%s interrupts (DMASR 0x%x)", channel->name,
                    read_register(channel, REG(DMASR)));
        core->app->interrupts += taken;
        acknowledge(&core->mm2s);
        acknowledge(&core->s2mm);
        if (!gc_irq_rearm(core->device, &error))
            return app_error(core->app, &error);
    }
    return true;
}

static uint32_t size_of(unsigned round, unsigned packet)
{
    return 1 + (round * 997 + packet * 61) % SLOT;
}

static void fill(const struct channel *channel, unsigned round)
{
    uint8_t bytes[SLOT];
    for (unsigned packet = 0; packet < PACKETS; packet++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(i * 7 + packet * 13 + round);
        gc_dma_write(&channel->data, (size_t)packet * SLOT, bytes, sizeof(bytes));
    }
    gc_dma_sync_for_device(&channel->data, 0, PACKETS * SLOT);
}

static bool is_same(const struct core *core, unsigned packet, uint32_t size)
{
    uint8_t sent[SLOT], received[SLOT];
    gc_dma_read(&core->mm2s.data, (size_t)packet * SLOT, sent, size);
    gc_dma_read(&core->s2mm.data, (size_t)packet * SLOT, received, size);
    return memcmp(sent, received, size) == 0;
}

/* A burst of packets; THRESHOLD divides their number, so the last of them interrupts. */
static bool check_packets(struct core *core, unsigned round)
{
    struct app *app = core->app;
    struct channel *mm2s = &core->mm2s, *s2mm = &core->s2mm;
    unsigned first = mm2s->next, sent = 0, received = 0, same = 0;
    fill(mm2s, round);
    gc_dma_fill(&s2mm->data, 0, 0, PACKETS * SLOT);
    gc_dma_sync_for_device(&s2mm->data, 0, PACKETS * SLOT);
    for (unsigned packet = 0; packet < PACKETS; packet++) {
        put(s2mm, (size_t)packet * SLOT, SLOT);
        put(mm2s, (size_t)packet * SLOT, DESC(CONTROL_SOF) | DESC(CONTROL_EOF) | size_of(round, packet));
    }
    move_tail(s2mm);
    move_tail(mm2s);
    do {
        s2mm->seen = 0;
        if (!wait_for(s2mm, BIT(DMASR_IOC_IRQ) | BIT(DMASR_ERR_IRQ)) || s2mm->seen & BIT(DMASR_ERR_IRQ))
            return app_check(app, false, "S2MM receives all packets (0x%x)", s2mm->seen);
    } while (!(status_of(s2mm, first + PACKETS - 1) & DESC(STATUS_CMPLT)));
    gc_dma_sync_for_cpu(&s2mm->data, 0, PACKETS * SLOT);
    for (unsigned packet = 0; packet < PACKETS; packet++) {
        uint32_t size = size_of(round, packet);
        sent += status_of(mm2s, first + packet) == (DESC(STATUS_CMPLT) | size);
        received += status_of(s2mm, first + packet) ==
                    (DESC(STATUS_CMPLT) | DESC(STATUS_SOF) | DESC(STATUS_EOF) | size);
        same += is_same(core, packet, size);
        app->bytes += 2 * size;
    }
    return app_check(app, sent == PACKETS && received == PACKETS && same == PACKETS,
            "of %d packets %u are sent, %u received, %u the same", PACKETS, sent, received, same);
}

static void check_error(struct core *core)
{
    struct channel *mm2s = &core->mm2s;
    const uint32_t expected = BIT(DMASR_HALTED) | BIT(DMASR_DMA_INT_ERR) | BIT(DMASR_ERR_IRQ);
    mm2s->seen = 0;
    put(mm2s, 0, DESC(CONTROL_EOF));
    move_tail(mm2s);
    if (!wait_for(mm2s, BIT(DMASR_ERR_IRQ)))
        return;
    app_check(core->app, (mm2s->seen & expected) == expected && !(read_register(mm2s, REG(DMACR)) & 1),
            "a descriptor without a length halts MM2S (0x%x)", mm2s->seen);
}

static bool reset(struct core *core)
{
    write_register(&core->mm2s, REG(DMACR), BIT(DMACR_RESET));
    uint64_t give_up_ns = gc_now_ns() + (uint64_t)APP_WAIT_MS * 1000000;
    while (read_register(&core->mm2s, REG(DMACR)) & BIT(DMACR_RESET) && gc_now_ns() < give_up_ns)
        continue;
    uint32_t one = read_register(&core->mm2s, REG(DMASR)), other = read_register(&core->s2mm, REG(DMASR));
    start(&core->s2mm);
    start(&core->mm2s);
    return app_check(core->app, (one & other & BIT(DMASR_HALTED)) && (one & other & BIT(DMASR_SG_INCLD)),
            "a reset halts both channels, which have scatter-gather (0x%x, 0x%x)", one, other);
}

static bool open_channel(struct core *core, struct channel *channel, const char *name, size_t base)
{
    struct gc_error error;
    *channel = (struct channel){.core = core, .name = name, .base = base};
    return (gc_dma_alloc(core->device, &channel->ring, RING * STRIDE, &error) &&
                   gc_dma_alloc(core->device, &channel->data, PACKETS * SLOT, &error)) ||
           app_error(core->app, &error);
}

static void check_core(struct core *core)
{
    struct app *app = core->app;
    struct gc_error error;
    unsigned vectors = 1;
    struct gc_window_place place = {.name = "registers", .bar = 0};
    if (!gc_window_open(core->device, &place, &core->registers, &error) ||
            !gc_set_bus_master(core->device, true, &error) ||
            !gc_irq_enable(core->device, app->irq_mode, &vectors, &error)) {
        app_give_up(app, error.message);
        return;
    }
    if (needs_sync)
        gc_dma_set_sync(core->device, sync_memory, core);
    if (!open_channel(core, &core->mm2s, "MM2S", GHOSTCARD_AXI_DMA_MM2S(0)) ||
            !open_channel(core, &core->s2mm, "S2MM", GHOSTCARD_AXI_DMA_S2MM(0)) || !reset(core))
        return;
    bool works = true;
    for (unsigned round = 0; works && round < ROUNDS; round++)
        works = check_packets(core, round);
    if (!works)
        return;
    check_error(core);
    if (reset(core))
        check_packets(core, ROUNDS);
    write_register(&core->mm2s, REG(DMACR), BIT(DMACR_RESET));
}

static bool option(const char *name, const char *value, bool *takes_value)
{
    (void)value;
    *takes_value = false;
    needs_sync = strcmp(name, "--sync") == 0;
    return needs_sync;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-axi-dma", "drives AMD's AXI DMA through a loopback; --sync: it is not coherent", "", option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    struct core core = {.app = &app, .device = app_open_device(&app)};
    if (core.device) {
        check_core(&core);
        if (core.mm2s.data.bytes)
            app_say(&app, "DMASR 0x%x, 0x%x\n", core.mm2s.seen, core.s2mm.seen);
    }
    gc_close(core.device);
    return app_end(&app);
}
