/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for a channel: by interrupt, and by looking at the ring and the registers if none comes. See
 * refcard.h.
 *
 * Models: the transmit watchdog of Linux network drivers (ndo_tx_timeout), and the polling of the NVMe driver
 * when a command times out (nvme_timeout): first the ring, then the registers, then a reset.
 */
#include "engine.h"

#include <time.h>

static const uint64_t MS = 1000000;

/* The state of one ref_wait. */
struct watch {
    struct ref_channel *channel;
    int timeout_ms;
    uint64_t started_ns, deadline_ns; /* progress extends the deadline */
    unsigned surplus;                 /* interrupts without a completion */
    bool has_ordered;                 /* the order of write-back block and descriptors is recorded */
    bool has_looked;                  /* `bytes` was read from the registers */
    uint32_t bytes;
};

static void note_progress(struct watch *watch)
{
    watch->deadline_ns = gc_now_ns() + (uint64_t)watch->timeout_ms * MS;
}

/* Matches interrupts with completions; more than those are surplus. */
static void count_interrupts(struct watch *watch, uint64_t taken)
{
    struct ref_channel *channel = watch->channel;
    unsigned expected = taken < channel->due ? (unsigned)taken : channel->due;
    channel->due -= expected;
    watch->surplus += (unsigned)taken - expected;
}

/* Everything is complete: records the interrupts that came without a completion. */
static void note_surplus(struct watch *watch)
{
    struct ref_channel *channel = watch->channel;
    for (; watch->surplus > 0; watch->surplus--) {
        if (channel->missed == 0) {
            ref_note(channel->card, REF_IRQ_SURPLUS, "%s: received an interrupt with nothing complete",
                    ref_channel_name(channel));
        } else {
            channel->missed--;
            ref_note(channel->card, REF_IRQ_LATE, "%s: received an interrupt that counted as lost",
                    ref_channel_name(channel));
        }
    }
}

static void note_order(struct watch *watch, const struct ref_look *look, bool overdue)
{
    struct ref_channel *channel = watch->channel;
    if (watch->has_ordered)
        return;
    watch->has_ordered = look->is_ahead || (overdue && look->is_behind);
    if (look->is_ahead)
        ref_note(channel->card, REF_WRITE_BACK_EARLY,
                "%s: the write-back block says %u, but the card still owns descriptor %u",
                ref_channel_name(channel), channel->write_back->consumer_index, channel->taken);
    else if (watch->has_ordered)
        ref_note(channel->card, REF_WRITE_BACK_LATE,
                "%s: descriptors up to %u are handed back, but the write-back block says %u",
                ref_channel_name(channel), channel->taken, channel->write_back->consumer_index);
}

/* Everything is complete, but no interrupt has come. */
static bool take_overdue(struct watch *watch, struct gc_error *error)
{
    struct ref_channel *channel = watch->channel;
    struct ref_card *card = channel->card;
    uint32_t enabled;
    uint64_t taken = 0;
    bool asked = false;
    if (channel->due == 0) /* none was requested */
        return true;
    /* Completions in quick succession share an interrupt, so only one is overdue. */
    channel->due = 0;
    if (watch->surplus > 0) {
        watch->surplus--;
        ref_note(card, REF_IRQ_EARLY, "%s: the interrupt came before the completion was in memory",
                ref_channel_name(channel));
        return true;
    }
    /*
     * The read returns after messages that were sent before it: an interrupt that arrives now was in transit.
     */
    if (!ref_read(card, GHOSTCARD_REF_IRQ_ENABLE, &enabled, error) ||
            !ref_irq_wait(card, channel->source, card->watch_ms, &taken, error) ||
            (taken == 0 && !ref_irq_poll(card, channel->source, &asked, error)))
        return false;
    if (taken > 0)
        return true;
    channel->missed++;
    ref_note(card, REF_IRQ_LOST,
            "%s: complete, but no interrupt for %d ms (%s; IRQ_STATUS: %sraised, IRQ_ENABLE 0x%x)",
            ref_channel_name(channel), 2 * card->watch_ms, gc_irq_mode_name(card->irq_mode),
            asked ? "" : "not ", enabled);
    return true;
}

/* ---------------------------------------------------------------------------------------------- waiting */

static bool check_progress(struct watch *watch, struct gc_error *error)
{
    struct ref_channel *channel = watch->channel;
    uint32_t bytes;
    if (!ref_read(channel->card, channel->block + REF_CHANNEL_BYTES, &bytes, error))
        return false;
    if (watch->has_looked && bytes != watch->bytes)
        note_progress(watch);
    watch->has_looked = true;
    watch->bytes = bytes;
    return true;
}

static bool fail_stalled(const struct watch *watch, struct gc_error *error)
{
    struct ref_channel *channel = watch->channel;
    struct engine engine;
    if (!ref_engine_read(channel, &engine, error))
        return false;
    ref_note(channel->card, REF_STALLED, "%s: no progress for %d ms (STATUS 0x%x)", ref_channel_name(channel),
            watch->timeout_ms, engine.status);
    return gc_fail(error,
            "%s: no completion within %d ms: the card is at descriptor %u (memory says %u) of %u handed "
            "over, STATUS 0x%x",
            ref_channel_name(channel), watch->timeout_ms, engine.consumer, channel->taken,
            channel->last_doorbell, engine.status);
}

static bool fail_short(const struct ref_channel *channel, struct gc_error *error)
{
    ref_note(channel->card, REF_SHORT, "%s: TRANSFERRED differs from LENGTH in a descriptor before %u",
            ref_channel_name(channel), channel->taken);
    return gc_fail(error, "%s: the card has completed a descriptor without moving all of its bytes",
            ref_channel_name(channel));
}

bool ref_wait(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error)
{
    struct ref_card *card = channel->card;
    struct watch watch = {.channel = channel, .timeout_ms = timeout_ms, .started_ns = gc_now_ns()};
    bool overdue;
    *completion = (struct ref_completion){0};
    for (note_progress(&watch);;) {
        int left_ms = gc_left_ms(watch.deadline_ns);
        uint64_t taken;
        if (!ref_irq_wait(card, channel->source, left_ms < card->watch_ms ? left_ms : card->watch_ms, &taken,
                    error))
            return false;
        overdue = taken == 0;
        struct ref_look look = ref_look(channel, overdue);
        if (!ref_sync_check(card, error) ||
                (look.halted && !ref_engine_check_halt(channel, completion, error)))
            return false;
        count_interrupts(&watch, taken);
        note_order(&watch, &look, overdue);
        if (look.is_short)
            return fail_short(channel, error);
        if (look.all || completion->halted)
            break;
        if (look.completed > 0)
            note_progress(&watch);
        else if (left_ms == 0)
            return fail_stalled(&watch, error);
        if (overdue && (!ref_engines_check(card, error) || !check_progress(&watch, error) ||
                               !ref_engine_check_halt(channel, completion, error)))
            return false;
        if (completion->halted) {
            ref_note(card, REF_WRITE_BACK_LATE, "%s: halted, but the write-back block does not say so",
                    ref_channel_name(channel));
            break;
        }
    }
    if (overdue && !take_overdue(&watch, error))
        return false;
    if (watch.has_looked && !overdue)
        ref_note(card, REF_SLOW, "%s: complete after %d ms", ref_channel_name(channel),
                (int)((gc_now_ns() - watch.started_ns) / MS));
    note_surplus(&watch);
    if (!completion->halted)
        card->resets_tried = 0;
    return true;
}

bool ref_collect_interrupts(struct ref_channel *channel, int timeout_ms, struct gc_error *error)
{
    struct watch watch = {.channel = channel};
    uint64_t taken;
    if (!ref_irq_wait(channel->card, channel->source, channel->missed > 0 ? timeout_ms : 0, &taken, error))
        return false;
    count_interrupts(&watch, taken);
    note_surplus(&watch);
    return true;
}

bool ref_poll_halt(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct watch watch = {.channel = channel, .timeout_ms = timeout_ms};
    *completion = (struct ref_completion){0};
    for (note_progress(&watch);; nanosleep(&pause, NULL)) {
        bool is_last = gc_left_ms(watch.deadline_ns) == 0;
        if (!ref_engine_error(channel, completion, error))
            return false;
        if (completion->halted)
            return true;
        if (is_last)
            return fail_stalled(&watch, error);
    }
}
