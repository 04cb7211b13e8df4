/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands over invalid descriptors, one kind at a time. The card must halt on exactly that descriptor with the
 * right error code, complete those before it, leave those after it alone, and continue once the driver has
 * corrected it and cleared the error.
 */
#include "transfer.h"

#include <inttypes.h>

enum { GOOD_BEFORE = 2, GOOD_AFTER = 1, SIZE = 512 };

/* An address without memory that fits into 52 bits. */
static const uint64_t NOWHERE = UINT64_C(0xffff000000000);

/* A kind of error: how it changes a valid descriptor, and the error code expected from the card. */
struct mistake {
    const char *what;
    uint32_t code;
    void (*make)(struct ref_descriptor *descriptor);
    /* The expected ERROR_ADDRESS; NULL: not checked. */
    uint64_t (*address)(const struct ref_descriptor *descriptor);
};

static void disown(struct ref_descriptor *descriptor)
{
    descriptor->control = 0;
}

static void make_empty(struct ref_descriptor *descriptor)
{
    descriptor->length = 0;
}

static void make_too_long(struct ref_descriptor *descriptor)
{
    descriptor->length = GHOSTCARD_REF_MAX_LENGTH_RESET + 1;
}

static void point_nowhere(struct ref_descriptor *descriptor)
{
    descriptor->host_address = NOWHERE;
}

static void leave_card_memory(struct ref_descriptor *descriptor)
{
    descriptor->card_address = GHOSTCARD_REF_MEMORY_SIZE_RESET - SIZE + 1;
}

static uint64_t host_address_of(const struct ref_descriptor *descriptor)
{
    return descriptor->host_address;
}

static const struct mistake MISTAKES[] = {
        {"a descriptor that the card does not own", GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_NOT_OWNED, disown,
                NULL},
        {"a length of 0", GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_LENGTH, make_empty, NULL},
        {"a length over the limit", GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_LENGTH, make_too_long, NULL},
        {"a host address without memory", GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS, point_nowhere,
                host_address_of},
        {"a card address beyond card memory", GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_CARD_ADDRESS,
                leave_card_memory, NULL},
};

/* The target of descriptor number `i` of a case. */
static uint64_t host_address(const struct pair *pair, const struct ref_channel *channel, unsigned i)
{
    const struct gc_dma_buffer *buffer = channel->direction == REF_H2C ? &pair->source : &pair->sink;
    return gc_dma_address(buffer, i * SIZE);
}

static uint32_t good_control(bool last)
{
    return GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK |
           (last ? GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK | GHOSTCARD_REF_DESC_CONTROL_EOP_MASK : 0);
}

/* Writes a run of valid descriptors, not handed over yet. Returns the index of the one to be made invalid. */
static uint32_t put_run(struct pair *pair, struct ref_channel *channel)
{
    uint32_t chosen = 0;
    const struct gc_dma_buffer *buffer = channel->direction == REF_H2C ? &pair->source : &pair->sink;
    gc_dma_sync_for_device(buffer, 0, (GOOD_BEFORE + 1 + GOOD_AFTER) * SIZE);
    for (unsigned i = 0; i <= GOOD_BEFORE + GOOD_AFTER; i++) {
        bool last = i == GOOD_BEFORE + GOOD_AFTER;
        uint32_t index = ref_put(channel, good_control(last), host_address(pair, channel, i), SIZE, i * SIZE);
        if (i == GOOD_BEFORE)
            chosen = index;
    }
    return chosen;
}

static void check_report(struct app *app, struct ref_channel *channel, const char *what,
        const struct ref_completion *completion, uint32_t code, uint32_t index)
{
    const char *direction = channel->direction == REF_H2C ? "H2C" : "C2H";
    app_check(app, completion->halted && completion->error_code == code && completion->error_index == index,
            "%s, %s: the card reports %s at descriptor %u, expected %s at %u", direction, what,
            completion->halted ? ref_error_name(completion->error_code) : "nothing", completion->error_index,
            ref_error_name(code), index);
    uint32_t consumer = ref_channel_read(channel, REF_CHANNEL_CONSUMER_INDEX);
    app_check(app, consumer == index, "  those before it are complete, and the card waits at it (%u)",
            consumer);
}

/* After the descriptor was corrected: clears the error, and everything must complete. */
static bool check_resume(struct app *app, struct ref_channel *channel)
{
    struct gc_error error;
    ref_clear_error(channel);
    if (!wait_done(app, channel, (GOOD_BEFORE + 1 + GOOD_AFTER) * SIZE, &error))
        return app_error(app, &error);
    uint32_t status = ref_channel_read(channel, REF_CHANNEL_STATUS);
    return app_check(app, (status & ~GHOSTCARD_REF_H2C_STATUS_BUSY_MASK) == 0,
            "  corrected and cleared, the card continues to the end (STATUS 0x%x)", status);
}

/*
 * The fields that an error changes. Copied field by field, because a copy of the whole may use an access that
 * the memory refuses.
 */
struct saved {
    uint32_t control, length;
    uint64_t host_address, card_address;
};

static struct saved save(const struct ref_descriptor *descriptor)
{
    return (struct saved){
            descriptor->control, descriptor->length, descriptor->host_address, descriptor->card_address};
}

static void restore(struct ref_descriptor *descriptor, const struct saved *good)
{
    descriptor->length = good->length;
    descriptor->host_address = good->host_address;
    descriptor->card_address = good->card_address;
    descriptor->control = good->control;
}

static bool check_mistake(
        struct app *app, struct pair *pair, struct ref_channel *channel, const struct mistake *mistake)
{
    struct gc_error error;
    struct ref_completion completion;
    uint32_t index = put_run(pair, channel);
    struct ref_descriptor *descriptor = &channel->ring[index];
    const struct saved good = save(descriptor);
    mistake->make(descriptor);
    ref_doorbell(channel);
    if (!ref_wait(channel, APP_WAIT_MS, &completion, &error))
        return app_error(app, &error);
    check_report(app, channel, mistake->what, &completion, mistake->code, index);
    if (mistake->address) {
        uint64_t expected = mistake->address(descriptor);
        app_check(app, completion.error_address == expected,
                "  ERROR_ADDRESS is 0x%" PRIx64 " (expected 0x%" PRIx64 ")", completion.error_address,
                expected);
    }
    restore(descriptor, &good);
    ref_sync_descriptor(channel, index);
    return check_resume(app, channel);
}

/*
 * Without bus mastering the card can neither fetch, nor write back, nor send messages, so only registers show
 * its state.
 */
static bool check_bus_master(struct app *app, struct pair *pair, struct ref_channel *channel)
{
    struct gc_error error;
    struct ref_completion completion;
    if (!gc_is_pci(app->card.device)) {
        app_not_possible(app, "bus mastering off: the kernel module owns the PCI function, and keeps it on");
        return true;
    }
    uint32_t first = channel->producer;
    put_run(pair, channel);
    if (!gc_set_bus_master(app->card.device, false, &error))
        return app_error(app, &error);
    ref_doorbell(channel);
    bool halted = ref_poll_halt(channel, APP_WAIT_MS, &completion, &error);
    struct gc_error again;
    if (!gc_set_bus_master(app->card.device, true, &again))
        return app_error(app, &again);
    if (!halted)
        return app_error(app, &error);
    check_report(app, channel, "bus mastering off", &completion,
            GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BUS_MASTER_OFF, first);
    return check_resume(app, channel);
}

static bool check_bad_ring(struct app *app, struct pair *pair, struct ref_channel *channel)
{
    struct gc_error error;
    struct ref_completion completion;
    uint32_t first = channel->producer;
    put_run(pair, channel);
    ref_channel_write(channel, REF_CHANNEL_RING_SIZE, channel->ring_size - 1);
    ref_doorbell(channel);
    bool halted = ref_wait(channel, APP_WAIT_MS, &completion, &error);
    ref_channel_write(channel, REF_CHANNEL_RING_SIZE, channel->ring_size);
    if (!halted)
        return app_error(app, &error);
    check_report(app, channel, "a ring size that is not a power of two", &completion,
            GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_RING, first);
    return check_resume(app, channel);
}

static bool check_channel(struct app *app, struct pair *pair, struct ref_channel *channel)
{
    for (size_t i = 0; i < sizeof(MISTAKES) / sizeof(MISTAKES[0]); i++) {
        if (!check_mistake(app, pair, channel, &MISTAKES[i]))
            return false;
    }
    return check_bus_master(app, pair, channel) && check_bad_ring(app, pair, channel);
}

/* After all errors, data must still arrive unchanged. */
static void check_data(struct app *app, struct pair *pair)
{
    struct gc_error error;
    enum { BYTES = 100000 };
    fill_pattern(&pair->source, 0, BYTES, 3);
    gc_dma_fill(&pair->sink, 0, 0, BYTES);
    if (!ref_submit(&pair->h2c, &pair->source, 0, BYTES, 0, &error) ||
            !wait_done(app, &pair->h2c, BYTES, &error) ||
            !ref_submit(&pair->c2h, &pair->sink, 0, BYTES, 0, &error) ||
            !wait_done(app, &pair->c2h, BYTES, &error)) {
        app_error(app, &error);
        return;
    }
    gc_dma_sync_for_cpu(&pair->sink, 0, BYTES);
    app_check(app, is_same(&pair->source, 0, &pair->sink, 0, BYTES),
            "afterwards %d bytes go both ways unchanged", BYTES);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-errors", "hands over bad descriptors and checks that the card reports them", "", NULL};
    struct app app;
    struct pair pair;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app) && pair_open(&app, &pair, 0, 1 << 20)) {
        ref_select_processing(&app.card, 0, REF_PROCESSING_MEMORY);
        if (check_channel(&app, &pair, &pair.h2c) && check_channel(&app, &pair, &pair.c2h))
            check_data(&app, &pair);
        pair_close(&pair);
    }
    return app_end(&app);
}
