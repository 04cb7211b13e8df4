/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DMA channel of the reference card: ring, doorbell, what is complete. See refcard.h and
 * docs/reference-card.md; waiting is in wait.c.
 *
 * Who writes what: this driver fills descriptors and sets OWNER last; the card clears OWNER last, then
 * updates the write-back block, then interrupts. So after an interrupt, plain memory tells how far the card
 * has come.
 *
 * What one side has written is synchronised before the other looks at it, which with a coherent card costs
 * nothing. Ring and write-back block have cache lines of their own.
 */
#include "refcard.h"

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

/* Longer than any engine takes to finish the access in hand. */
enum { IDLE_LIMIT_MS = 100 };

bool ref_channel_quiesce(struct ref_channel *channel, struct gc_error *error)
{
    uint64_t deadline_ns = gc_now_ns() + IDLE_LIMIT_MS * UINT64_C(1000000);
    uint32_t status;
    bool is_last;
    do {
        is_last = gc_now_ns() >= deadline_ns; /* whoever was not scheduled for long looks once more */
        if (!ref_read(channel->card, channel->block + REF_CHANNEL_STATUS, &status, error))
            return false;
        if (!(status & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK))
            return true;
    } while (!is_last);
    ref_note(channel->card, REF_STUCK, "%s: BUSY stays 1 with nothing to do", ref_channel_name(channel));
    return gc_fail(error, "%s: the engine is still BUSY after %d ms (STATUS 0x%x)", ref_channel_name(channel),
            IDLE_LIMIT_MS, status);
}

/* CONTROL.RESET: not running, nothing in hand, the indexes at 0. */
static bool stop_engine(struct ref_channel *channel, struct gc_error *error)
{
    uint32_t consumer = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        ref_channel_write(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RESET_MASK);
        if (!ref_channel_quiesce(channel, error) ||
                !ref_read(channel->card, channel->block + REF_CHANNEL_CONSUMER_INDEX, &consumer, error))
            return false;
        if (consumer == 0)
            return true;
        ref_note(channel->card, REF_WRITE_LOST, "%s: CONSUMER_INDEX is %u after CONTROL.RESET",
                ref_channel_name(channel), consumer);
    }
    return gc_fail(
            error, "%s: CONSUMER_INDEX stays %u after CONTROL.RESET", ref_channel_name(channel), consumer);
}

bool ref_channel_reset(struct ref_channel *channel, struct gc_error *error)
{
    if (!stop_engine(channel, error))
        return false;
    const struct gc_dma_buffer *control = &channel->card->control;
    gc_dma_fill(control, channel->ring_offset, 0, channel->ring_size * sizeof(*channel->ring));
    gc_dma_fill(control, channel->write_back_offset, 0, sizeof(*channel->write_back));
    gc_dma_sync_for_device(control, channel->ring_offset, channel->ring_size * sizeof(*channel->ring));
    gc_dma_sync_for_device(control, channel->write_back_offset, sizeof(*channel->write_back));
    channel->producer = channel->last_doorbell = channel->taken = 0;
    channel->due = channel->missed = 0;
    return ref_write(
            channel->card, channel->block + REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RUN_MASK, error);
}

bool ref_channel_set_up(struct ref_channel *channel, struct gc_error *error)
{
    struct ref_card *card = channel->card;
    size_t block = channel->block;
    return ref_write(card, block + REF_CHANNEL_CONTROL, 0, error) &&
           ref_write64(card, block + REF_CHANNEL_RING_BASE, channel->ring_address, error) &&
           ref_write(card, block + REF_CHANNEL_RING_SIZE, channel->ring_size, error) &&
           ref_write64(card, block + REF_CHANNEL_WRITEBACK_ADDRESS, channel->write_back_address, error) &&
           ref_write(card, block + REF_CHANNEL_MODERATION, 0, error) && ref_channel_reset(channel, error);
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
    if (!ref_channel_set_up(channel, error))
        return false;
    card->channels[channel->source] = channel;
    return true;
}

void ref_channel_close(struct ref_channel *channel)
{
    struct ref_card *card = channel->card;
    card->channels[channel->source] = NULL;
    if (card->gone || stop_engine(channel, NULL))
        return;
    /* What the engine still does is to reach no memory. */
    if (gc_is_pci(card->device))
        gc_set_bus_master(card->device, false, NULL);
    else
        ref_soft_reset(card);
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
    sync_ring(channel, gc_dma_sync_for_device, channel->last_doorbell, channel->producer);
    channel->last_doorbell = channel->producer;
    ref_channel_write(channel, REF_CHANNEL_DOORBELL, channel->producer);
}

uint32_t ref_consumer(const struct ref_channel *channel)
{
    sync_write_back(channel, gc_dma_sync_for_cpu);
    return channel->write_back->consumer_index;
}

/* From one index to another, around the end of the ring if need be. */
static uint32_t distance(const struct ref_channel *channel, uint32_t from, uint32_t to)
{
    return (to - from) % channel->ring_size;
}

/* By the descriptors that have been handed back: the card may still write to the others. */
static uint32_t free_descriptors(const struct ref_channel *channel)
{
    return distance(channel, channel->producer + 1, channel->taken);
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

/* Handed back by the card, which writes OWNER last. */
static bool is_complete(const struct ref_descriptor *descriptor)
{
    if (descriptor->control & GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK)
        return false;
    gc_read_barrier();
    return (descriptor->status & GHOSTCARD_REF_DESC_STATUS_DONE_MASK) != 0;
}

/* All bytes of a completed descriptor, or those up to the end of a packet. */
static bool is_whole(const struct ref_channel *channel, const struct ref_descriptor *descriptor)
{
    bool ended = channel->direction == REF_C2H && (descriptor->status & GHOSTCARD_REF_DESC_STATUS_EOP_MASK);
    return descriptor->transferred == descriptor->length ||
           (ended && descriptor->transferred < descriptor->length);
}

struct ref_look ref_look(struct ref_channel *channel, bool thorough)
{
    struct ref_look look = {0};
    uint32_t consumer = ref_consumer(channel);
    gc_read_barrier();
    look.halted = (channel->write_back->status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK) != 0;
    uint32_t given = distance(channel, channel->taken, channel->last_doorbell);
    uint32_t claimed = distance(channel, channel->taken, consumer);
    if (consumer >= channel->ring_size || claimed > given)
        claimed = 0; /* nonsense, which a write-back block that is complete never holds */
    uint32_t limit = thorough ? given : claimed;
    sync_ring(channel, gc_dma_sync_for_cpu, channel->taken, (channel->taken + limit) % channel->ring_size);
    /*
     * Two descriptors share a cache line. A card that is not coherent may hand back one while its neighbour
     * is being handed over to it, with all of the line: then only the write-back block is left to believe.
     */
    uint32_t believed = ref_is_coherent(channel->card) ? 0 : claimed;
    while (look.completed < limit) {
        const struct ref_descriptor *descriptor = &channel->ring[channel->taken];
        bool says_so = is_complete(descriptor);
        if (!says_so && look.completed >= believed)
            break;
        if (descriptor->control & GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK)
            channel->due++;
        look.is_short |= says_so && !is_whole(channel, descriptor);
        channel->taken = (channel->taken + 1) % channel->ring_size;
        look.completed++;
    }
    look.is_ahead = look.completed < claimed;
    look.is_behind = look.completed > claimed;
    look.all = channel->taken == channel->last_doorbell;
    return look;
}

const char *ref_channel_name(const struct ref_channel *channel)
{
    static const char *const NAMES[] = {[REF_SOURCE_H2C0] = "H2C0",
            [REF_SOURCE_H2C1] = "H2C1",
            [REF_SOURCE_C2H0] = "C2H0",
            [REF_SOURCE_C2H1] = "C2H1"};
    return NAMES[channel->source];
}

void ref_clear_error(struct ref_channel *channel)
{
    channel->write_back->status = 0; /* what it says about the error is over; the card writes it anew */
    sync_write_back(channel, gc_dma_sync_for_device);
    ref_channel_write(channel, REF_CHANNEL_STATUS, GHOSTCARD_REF_H2C_STATUS_ERROR_MASK);
}

bool ref_retry_misread(struct ref_channel *channel, const struct ref_completion *completion)
{
    uint32_t index = completion->error_index, code = completion->error_code;
    uint32_t given = distance(channel, channel->taken, channel->last_doorbell);
    if (index >= channel->ring_size || distance(channel, channel->taken, index) >= given)
        return false;
    const struct ref_descriptor *descriptor = &channel->ring[index];
    bool is_owned = (descriptor->control & GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK) != 0;
    bool is_length_right = descriptor->length > 0 && descriptor->length <= GHOSTCARD_REF_MAX_LENGTH_RESET;
    bool is_about_these = code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_NOT_OWNED ||
                          code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_LENGTH;
    if (!is_about_these || !is_owned || !is_length_right)
        return false;
    ref_note(channel->card, REF_MISREAD,
            "%s: halted with %s on descriptor %u, which is the card's and %u bytes long",
            ref_channel_name(channel), ref_error_name(code), index, descriptor->length);
    ref_sync_descriptor(channel, index);
    ref_clear_error(channel);
    return true;
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
