/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DMA channel of the reference card: registers, set-up, stopping its engine. See refcard.h and
 * docs/reference-card.md; the ring is in ring.c.
 */
#include "refcard.h"

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

/* Allocates control memory in whole cache lines, as ring and write-back block need. Returns its offset. */
static bool carve(struct ref_card *card, size_t size, size_t *offset, uint64_t *address)
{
    const size_t alignment = REF_LINE_BYTES;
    size_t start = (card->control_used + alignment - 1) / alignment * alignment;
    if (start > card->control.size || size > card->control.size - start)
        return false;
    *offset = start;
    *address = gc_dma_address(&card->control, start);
    card->control_used = start + size;
    return true;
}

/* Longer than any engine needs to finish its current access. */
enum { IDLE_LIMIT_MS = 100 };

bool ref_channel_quiesce(struct ref_channel *channel, struct gc_error *error)
{
    uint64_t deadline_ns = gc_now_ns() + IDLE_LIMIT_MS * UINT64_C(1000000);
    uint32_t status;
    bool is_last;
    do {
        is_last = gc_now_ns() >= deadline_ns; /* look once more: this process may not have run */
        if (!ref_read(channel->card, channel->block + REF_CHANNEL_STATUS, &status, error))
            return false;
        if (!(status & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK))
            return true;
    } while (!is_last);
    ref_note(channel->card, REF_STUCK, "%s: BUSY stays 1 although the engine has nothing to do",
            ref_channel_name(channel));
    return gc_fail(error, "%s: the engine is still BUSY after %d ms (STATUS 0x%x)", ref_channel_name(channel),
            IDLE_LIMIT_MS, status);
}

/* CONTROL.RESET: the engine is stopped and idle, with indexes 0. */
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
        return gc_fail(error, "cannot open channel pair %u of %s: it has %u pairs", pair,
                gc_name(card->device), card->channel_pairs);
    if (ring_size < MIN_RING_SIZE || ring_size > MAX_RING_SIZE || (ring_size & (ring_size - 1)) != 0)
        return gc_fail(error,
                "cannot use a ring of %u descriptors: the size must be a power of two from %d to %d",
                ring_size, MIN_RING_SIZE, MAX_RING_SIZE);
    channel->block = direction == REF_H2C ? GHOSTCARD_REF_H2C(pair) : GHOSTCARD_REF_C2H(pair);
    channel->source = (direction == REF_H2C ? REF_SOURCE_H2C0 : REF_SOURCE_C2H0) + pair;
    if (!carve(card, ring_size * sizeof(struct ref_descriptor), &channel->ring_offset,
                &channel->ring_address) ||
            !carve(card, sizeof(struct ref_write_back), &channel->write_back_offset,
                    &channel->write_back_address))
        return gc_fail(error,
                "no memory for a ring of %u descriptors: all channels share %zu bytes, and %zu are in use",
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
    /* Whatever the engine still does must not reach memory. */
    if (gc_is_pci(card->device))
        gc_set_bus_master(card->device, false, NULL);
    else
        ref_soft_reset(card);
}

const char *ref_channel_name(const struct ref_channel *channel)
{
    static const char *const NAMES[] = {[REF_SOURCE_H2C0] = "H2C0",
            [REF_SOURCE_H2C1] = "H2C1",
            [REF_SOURCE_C2H0] = "C2H0",
            [REF_SOURCE_C2H1] = "C2H1"};
    return NAMES[channel->source];
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
