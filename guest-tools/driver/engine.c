/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a channel's engine according to its registers; see engine.h. */
#include "engine.h"

#include <time.h>

bool ref_engine_read(const struct ref_channel *channel, struct engine *engine, struct gc_error *error)
{
    return ref_read(channel->card, channel->block + REF_CHANNEL_CONSUMER_INDEX, &engine->consumer, error) &&
           ref_read(channel->card, channel->block + REF_CHANNEL_STATUS, &engine->status, error) &&
           ref_read(channel->card, channel->block + REF_CHANNEL_CONTROL, &engine->control, error) &&
           ref_read(channel->card, channel->block + REF_CHANNEL_RING_BASE, &engine->ring_base, error);
}

static bool is_idle(const struct engine *engine)
{
    return !(engine->status & (GHOSTCARD_REF_H2C_STATUS_BUSY_MASK | GHOSTCARD_REF_H2C_STATUS_HALTED_MASK));
}

bool ref_engine_error(
        const struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error)
{
    struct ref_card *card = channel->card;
    uint32_t status;
    if (!ref_read(card, channel->block + REF_CHANNEL_STATUS, &status, error) ||
            !ref_read(card, channel->block + REF_CHANNEL_ERROR_INDEX, &completion->error_index, error))
        return false;
    completion->halted = (status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK) != 0;
    completion->error_code =
            (status & GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_MASK) >> GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_SHIFT;
    completion->error_address = gc_read64(&card->registers, channel->block + REF_CHANNEL_ERROR_ADDRESS);
    return true;
}

/* The engine is idle although there are descriptors for it: checks for a late or lost doorbell. */
static bool check_doorbell(struct ref_channel *channel, const struct engine *before, struct gc_error *error)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    struct engine now;
    nanosleep(&pause, NULL);
    if (!ref_engine_read(channel, &now, error))
        return false;
    if (!is_idle(&now) || now.consumer != before->consumer) {
        ref_note(channel->card, REF_DOORBELL_LATE,
                "%s: nothing happened for %d ms; the engine started when its registers were read",
                ref_channel_name(channel), channel->card->watch_ms);
        return true;
    }
    ref_note(channel->card, REF_DOORBELL_LOST, "%s: the engine is idle at %u, but the doorbell was %u",
            ref_channel_name(channel), now.consumer, channel->last_doorbell);
    ref_channel_write(channel, REF_CHANNEL_DOORBELL, channel->last_doorbell);
    return true;
}

/* Checks a channel that has work but shows no progress. False: waiting is pointless. */
static bool check_engine(struct ref_channel *channel, struct gc_error *error)
{
    struct engine engine;
    if (!ref_engine_read(channel, &engine, error))
        return false;
    if (!(engine.control & GHOSTCARD_REF_H2C_CONTROL_RUN_MASK) ||
            engine.ring_base != (uint32_t)channel->ring_address) {
        ref_note(channel->card, REF_RESET, "%s: CONTROL 0x%x, RING_BASE 0x%x", ref_channel_name(channel),
                engine.control, engine.ring_base);
        return gc_fail(error, "%s: the card was reset: its registers have lost their settings",
                ref_channel_name(channel));
    }
    /* Busy, or done: memory will say so. */
    if (!is_idle(&engine) || engine.consumer == channel->last_doorbell)
        return true;
    return check_doorbell(channel, &engine, error);
}

bool ref_engines_check(struct ref_card *card, struct gc_error *error)
{
    for (unsigned source = 0; source < REF_SOURCE_COUNT; source++) {
        struct ref_channel *channel = card->channels[source];
        if (channel && channel->taken != channel->last_doorbell && !check_engine(channel, error))
            return false;
    }
    return true;
}

bool ref_engine_check_halt(
        struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error)
{
    if (!ref_engine_error(channel, completion, error))
        return false;
    if (completion->halted)
        channel->due++; /* an error always interrupts */
    return true;
}
