/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of a DMA channel: descriptors, doorbell, completion. See refcard.h and docs/reference-card.md;
 * waiting is in wait.c.
 *
 * Ownership: this driver fills descriptors and sets OWNER last; the card clears OWNER last, then updates the
 * write-back block, then interrupts. So after an interrupt, memory alone shows the card's progress.
 *
 * What one side has written is synchronised before the other reads it, which costs nothing with a coherent
 * card. Ring and write-back block have their own cache lines.
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

typedef void sync_call(const struct gc_dma_buffer *buffer, size_t offset, size_t size);

/* Descriptors from `first` to `end`, exclusive, wrapping around the end of the ring if necessary. */
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
    gc_write_barrier(); /* the card may read it as soon as OWNER is set */
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

/* The distance from one index to another, wrapping around the end of the ring. */
static uint32_t distance(const struct ref_channel *channel, uint32_t from, uint32_t to)
{
    return (to - from) % channel->ring_size;
}

/* Counts descriptors that were handed back: the card may still write to the others. */
static uint32_t free_descriptors(const struct ref_channel *channel)
{
    return distance(channel, channel->producer + 1, channel->taken);
}

bool ref_submit(struct ref_channel *channel, const struct gc_dma_buffer *buffer, size_t offset, size_t size,
        uint64_t card_address, struct gc_error *error)
{
    if (size == 0 || offset > buffer->size || size > buffer->size - offset)
        return gc_fail(error,
                "cannot transfer %zu bytes at offset %zu of a buffer of %zu: they must be inside it and not "
                "empty",
                size, offset, buffer->size);
    uint32_t free_count = free_descriptors(channel);
    /* Also for data that the card will write: no cached data of ours may be written back over it later. */
    gc_dma_sync_for_device(buffer, offset, size);
    while (size > 0) {
        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset, size);
        if (part.size > GHOSTCARD_REF_MAX_LENGTH_RESET)
            part.size = GHOSTCARD_REF_MAX_LENGTH_RESET;
        if (free_count-- == 0)
            return gc_fail(error,
                    "the ring of %u descriptors is full: wait for completions, or make it larger",
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

/* A completed descriptor moved all of its bytes, or those up to the end of a packet. */
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
        claimed = 0; /* invalid, which a complete write-back block never is */
    uint32_t limit = thorough ? given : claimed;
    sync_ring(channel, gc_dma_sync_for_cpu, channel->taken, (channel->taken + limit) % channel->ring_size);
    /*
     * Two descriptors share a cache line. A card that is not coherent may hand back one while its neighbour
     * is being handed over to it, with the whole line. Then only the write-back block can be trusted.
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

void ref_clear_error(struct ref_channel *channel)
{
    channel->write_back->status = 0; /* the error is over; the card writes the status again */
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
            "%s: halted with %s on descriptor %u, which the card owns and which has %u bytes",
            ref_channel_name(channel), ref_error_name(code), index, descriptor->length);
    ref_sync_descriptor(channel, index);
    ref_clear_error(channel);
    return true;
}

uint32_t ref_transferred(const struct ref_channel *channel, uint32_t index)
{
    return channel->ring[index].transferred;
}
