/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DMA channel of the reference card: ring, doorbell, completion, errors. See refcard.h and
 * docs/reference-card.md.
 *
 * Who writes what: this driver fills descriptors and sets OWNER last; the card clears OWNER last, then
 * updates the write-back block, then interrupts. So after an interrupt, plain memory tells how far the card
 * has come.
 *
 * What one side has written is synchronised before the other looks at it, which with a coherent card costs
 * nothing. Ring and write-back block have cache lines of their own.
 */
#include "refcard.h"

#include <stdio.h>
#include <time.h>

_Static_assert(sizeof(struct ref_descriptor) == GHOSTCARD_REF_DESC_SIZE, "descriptor size");
_Static_assert(offsetof(struct ref_descriptor, control) == GHOSTCARD_REF_DESC_CONTROL, "descriptor layout");
_Static_assert(offsetof(struct ref_descriptor, length) == GHOSTCARD_REF_DESC_LENGTH, "descriptor layout");
_Static_assert(offsetof(struct ref_descriptor, host_address) == GHOSTCARD_REF_DESC_HOST_ADDRESS,
        "descriptor layout");
_Static_assert(offsetof(struct ref_descriptor, card_address) == GHOSTCARD_REF_DESC_CARD_ADDRESS,
        "descriptor layout");
_Static_assert(
        offsetof(struct ref_descriptor, transferred) == GHOSTCARD_REF_DESC_TRANSFERRED, "descriptor layout");
_Static_assert(offsetof(struct ref_descriptor, status) == GHOSTCARD_REF_DESC_STATUS, "descriptor layout");
_Static_assert(sizeof(struct ref_write_back) == GHOSTCARD_REF_WRITEBACK_SIZE, "write-back size");
_Static_assert(offsetof(struct ref_write_back, consumer_index) == GHOSTCARD_REF_WRITEBACK_CONSUMER_INDEX,
        "write-back layout");
_Static_assert(
        offsetof(struct ref_write_back, status) == GHOSTCARD_REF_WRITEBACK_STATUS, "write-back layout");
_Static_assert(REF_CHANNEL_COMPLETED == GHOSTCARD_REF_C2H_COMPLETED(0) - GHOSTCARD_REF_C2H(0), "same blocks");

enum { MIN_RING_SIZE = 2, MAX_RING_SIZE = 65536 };

uint32_t ref_channel_read(const struct ref_channel *channel, size_t offset)
{
    return gc_read32(&channel->card->registers, channel->block + offset);
}

void ref_channel_write(const struct ref_channel *channel, size_t offset, uint32_t value)
{
    gc_write32(&channel->card->registers, channel->block + offset, value);
}

/* A part of the card's control memory in cache lines of its own, which suits ring and write-back block: its
 * offset there. */
static bool carve(struct ref_card *card, size_t size, size_t *offset, uint64_t *address)
{
    const size_t alignment = REF_LINE_BYTES;
    size_t start = (card->control_used + alignment - 1) / alignment * alignment;
    if (start > card->control.size || size > card->control.size - start)
        return false;
    *offset = start;
    *address = gc_dma_segment_at(&card->control, start, size).address;
    card->control_used = start + size;
    return true;
}

typedef void sync_call(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

/* Descriptors `first` up to but not including `end`, around the end of the ring if need be. */
static void sync_ring(const struct ref_channel *channel, sync_call *sync, uint32_t first, uint32_t end)
{
    const size_t size = sizeof(*channel->ring);
    const struct gc_dma_buffer *control = &channel->card->control;
    uint32_t until = end < first ? channel->ring_size : end;
    if (first != until)
        sync(control, channel->ring_offset + first * size, (until - first) * size);
    if (end < first && end > 0)
        sync(control, channel->ring_offset, end * size);
}

static void sync_write_back(const struct ref_channel *channel, sync_call *sync)
{
    sync(&channel->card->control, channel->write_back_offset, sizeof(*channel->write_back));
}

static void start_engine(struct ref_channel *channel)
{
    ref_channel_write(channel, REF_CHANNEL_CONTROL,
            GHOSTCARD_REF_H2C_CONTROL_RESET_MASK); /* not running, nothing in hand */
    ref_channel_read(channel, REF_CHANNEL_CONTROL);
    const struct gc_dma_buffer *control = &channel->card->control;
    gc_dma_fill(control, channel->ring_offset, 0, channel->ring_size * sizeof(*channel->ring));
    gc_dma_fill(control, channel->write_back_offset, 0, sizeof(*channel->write_back));
    gc_dma_sync_for_device(control, channel->ring_offset, channel->ring_size * sizeof(*channel->ring));
    gc_dma_sync_for_device(control, channel->write_back_offset, sizeof(*channel->write_back));
    channel->producer = channel->rung = channel->taken = 0;
    ref_channel_write(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RUN_MASK);
}

bool ref_channel_open(struct ref_channel *channel, struct ref_card *card, enum ref_direction direction,
        unsigned pair, uint32_t ring_size, struct gc_error *error)
{
    *channel =
            (struct ref_channel){.card = card, .direction = direction, .pair = pair, .ring_size = ring_size};
    if (pair >= card->channel_pairs)
        return gc_fail(
                error, "channel pair %u of %s: it has %u", pair, gc_name(card->device), card->channel_pairs);
    if (ring_size < MIN_RING_SIZE || ring_size > MAX_RING_SIZE || (ring_size & (ring_size - 1)) != 0)
        return gc_fail(error, "ring of %u descriptors: it must be a power of two from %d to %d", ring_size,
                MIN_RING_SIZE, MAX_RING_SIZE);
    channel->block = direction == REF_H2C ? GHOSTCARD_REF_H2C(pair) : GHOSTCARD_REF_C2H(pair);
    channel->source = (direction == REF_H2C ? REF_SOURCE_H2C0 : REF_SOURCE_C2H0) + pair;
    if (!carve(card, ring_size * sizeof(struct ref_descriptor), &channel->ring_offset,
                &channel->ring_address) ||
            !carve(card, sizeof(struct ref_write_back), &channel->write_back_offset,
                    &channel->write_back_address))
        return gc_fail(error, "ring of %u descriptors: all channels share %zu bytes, and %zu are taken",
                ring_size, card->control.size, card->control_used);
    channel->ring = (struct ref_descriptor *)(card->control.bytes + channel->ring_offset);
    channel->write_back = (struct ref_write_back *)(card->control.bytes + channel->write_back_offset);
    const struct gc_window *registers = &card->registers;
    ref_channel_write(channel, REF_CHANNEL_CONTROL, 0);
    gc_write64(registers, channel->block + REF_CHANNEL_RING_BASE, channel->ring_address);
    gc_write32(registers, channel->block + REF_CHANNEL_RING_SIZE, ring_size);
    gc_write64(registers, channel->block + REF_CHANNEL_WRITEBACK_ADDRESS, channel->write_back_address);
    gc_write32(registers, channel->block + REF_CHANNEL_MODERATION, 0);
    start_engine(channel);
    return true;
}

void ref_channel_close(struct ref_channel *channel)
{
    ref_channel_write(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RESET_MASK);
    ref_channel_read(channel, REF_CHANNEL_CONTROL);
}

void ref_channel_reset(struct ref_channel *channel)
{
    start_engine(channel);
}

uint32_t ref_put(struct ref_channel *channel, uint32_t control, uint64_t host_address, uint32_t length,
        uint64_t card_address)
{
    uint32_t index = channel->producer;
    struct ref_descriptor *descriptor = &channel->ring[index];
    descriptor->length = length;
    descriptor->host_address = host_address;
    descriptor->card_address = card_address;
    descriptor->transferred = 0;
    descriptor->status = 0;
    gc_write_barrier(); /* the card may look at it as soon as OWNER is set */
    descriptor->control = control;
    channel->producer = (index + 1) % channel->ring_size;
    return index;
}

void ref_sync_descriptor(struct ref_channel *channel, uint32_t index)
{
    sync_ring(channel, gc_dma_sync_for_device, index, index + 1);
}

void ref_doorbell(struct ref_channel *channel)
{
    sync_ring(channel, gc_dma_sync_for_device, channel->rung, channel->producer);
    channel->rung = channel->producer;
    ref_channel_write(channel, REF_CHANNEL_DOORBELL, channel->producer);
}

uint32_t ref_consumer(const struct ref_channel *channel)
{
    sync_write_back(channel, gc_dma_sync_for_cpu);
    return channel->write_back->consumer_index;
}

static uint32_t free_descriptors(const struct ref_channel *channel)
{
    return (ref_consumer(channel) - channel->producer - 1) % channel->ring_size;
}

bool ref_submit(struct ref_channel *channel, const struct gc_dma_buffer *buffer, size_t offset, size_t size,
        uint64_t card_address, struct gc_error *error)
{
    if (size == 0 || offset > buffer->size || size > buffer->size - offset)
        return gc_fail(error,
                "transfer of %zu bytes at offset %zu of a buffer of %zu: it must lie inside and not be empty",
                size, offset, buffer->size);
    uint32_t free_count = free_descriptors(channel);
    /* Also what the card is to write to: nothing of ours may come out of a cache later. */
    gc_dma_sync_for_device(buffer, offset, size);
    while (size > 0) {
        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset, size);
        if (part.size > GHOSTCARD_REF_MAX_LENGTH_RESET)
            part.size = GHOSTCARD_REF_MAX_LENGTH_RESET;
        if (free_count-- == 0)
            return gc_fail(error, "ring of %u descriptors is full: wait for completions, or make it larger",
                    channel->ring_size);
        uint32_t control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK;
        if (part.size == size)
            control |= GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK | GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
        ref_put(channel, control, part.address, (uint32_t)part.size, card_address);
        offset += part.size;
        card_address += part.size;
        size -= part.size;
    }
    ref_doorbell(channel);
    return ref_sync_check(channel->card, error);
}

/* How far the card has come, out of memory. True: nothing more will happen by itself. */
static bool is_settled(const struct ref_channel *channel, struct ref_completion *completion)
{
    uint32_t consumer = ref_consumer(channel);
    gc_read_barrier();
    uint32_t status = channel->write_back->status;
    completion->halted = (status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK) != 0;
    return completion->halted || consumer == channel->producer;
}

/* What a halted engine says about the descriptor that it stopped at; register reads, but errors are rare. */
static void decode_error(const struct ref_channel *channel, struct ref_completion *completion)
{
    uint32_t status = ref_channel_read(channel, REF_CHANNEL_STATUS);
    completion->error_code =
            (status & GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_MASK) >> GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_SHIFT;
    completion->error_index = ref_channel_read(channel, REF_CHANNEL_ERROR_INDEX);
    completion->error_address =
            gc_read64(&channel->card->registers, channel->block + REF_CHANNEL_ERROR_ADDRESS);
}

static const char *channel_name(const struct ref_channel *channel, char name[16])
{
    snprintf(name, 16, "%s%u", channel->direction == REF_H2C ? "H2C" : "C2H", channel->pair);
    return name;
}

static bool fail_wait(const struct ref_channel *channel, int timeout_ms, bool settled, struct gc_error *error)
{
    char name[16];
    channel_name(channel, name);
    if (settled)
        return gc_fail(error,
                "%s: completion seen in the ring but no interrupt within %d ms (mode %s, IRQ_STATUS 0x%x, "
                "IRQ_ENABLE "
                "0x%x): the interrupt was lost",
                name, timeout_ms, gc_irq_mode_name(channel->card->irq_mode),
                gc_read32(&channel->card->registers, GHOSTCARD_REF_IRQ_STATUS),
                gc_read32(&channel->card->registers, GHOSTCARD_REF_IRQ_ENABLE));
    return gc_fail(error,
            "%s: no completion within %d ms: the card is at descriptor %u (memory says %u) of %u handed "
            "over, STATUS "
            "0x%x",
            name, timeout_ms, ref_channel_read(channel, REF_CHANNEL_CONSUMER_INDEX),
            channel->write_back->consumer_index, channel->producer,
            ref_channel_read(channel, REF_CHANNEL_STATUS));
}

bool ref_wait(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error)
{
    uint64_t deadline_ns = gc_now_ns() + (uint64_t)timeout_ms * 1000000;
    *completion = (struct ref_completion){0};
    for (;;) {
        uint64_t taken;
        if (!ref_irq_wait(channel->card, channel->source, gc_left_ms(deadline_ns), &taken, error))
            return false;
        bool settled = is_settled(channel, completion);
        if (!ref_sync_check(channel->card, error))
            return false;
        if (taken == 0)
            return fail_wait(channel, timeout_ms, settled, error);
        if (settled)
            break;
    }
    sync_ring(channel, gc_dma_sync_for_cpu, channel->taken, channel->rung);
    channel->taken = channel->write_back->consumer_index;
    if (completion->halted)
        decode_error(channel, completion);
    return true;
}

bool ref_poll_halt(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t deadline_ns = gc_now_ns() + (uint64_t)timeout_ms * 1000000;
    *completion = (struct ref_completion){0};
    while (!(ref_channel_read(channel, REF_CHANNEL_STATUS) & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK)) {
        if (gc_now_ns() >= deadline_ns)
            return fail_wait(channel, timeout_ms, false, error);
        nanosleep(&pause, NULL);
    }
    completion->halted = true;
    decode_error(channel, completion);
    return true;
}

void ref_clear_error(struct ref_channel *channel)
{
    channel->write_back->status = 0; /* what it says about the error is over; the card writes it anew */
    sync_write_back(channel, gc_dma_sync_for_device);
    ref_channel_write(channel, REF_CHANNEL_STATUS, GHOSTCARD_REF_H2C_STATUS_ERROR_MASK);
}

uint32_t ref_transferred(const struct ref_channel *channel, uint32_t index)
{
    return channel->ring[index].transferred;
}

const char *ref_error_name(uint32_t code)
{
    static const char *const NAMES[] = {
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_NONE] = "NONE",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_NOT_OWNED] = "NOT_OWNED",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_LENGTH] = "BAD_LENGTH",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS] = "BAD_HOST_ADDRESS",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_CARD_ADDRESS] = "BAD_CARD_ADDRESS",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BUS_MASTER_OFF] = "BUS_MASTER_OFF",
            [GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_RING] = "BAD_RING",
    };
    return code < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[code] : "unknown";
}
