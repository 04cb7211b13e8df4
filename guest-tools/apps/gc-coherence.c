/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what happens if a driver forgets to synchronise memory: with a card that is not coherent, it gets old
 * bytes every time; with a coherent card, nothing is wrong. Each kind of synchronisation is left out many
 * times, and then done again. See docs/coherence.md.
 *
 * The driver itself is correct: this program drops its synchronisation calls on their way to the card.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 4096, DEFAULT_ROUNDS = 20, MAX_ROUNDS = 100, OLD = 0x0d, FILL = 0xf1 };
/* What such a card reads from memory that was never synchronised. */
static const char POISON[] = "NOT SYNCHRONISED";

static unsigned rounds = DEFAULT_ROUNDS;

/* Drops synchronisation in one direction for one range. */
static struct {
    bool active;
    enum gc_dma_direction direction;
    uint64_t from, to;
} filter;

static void sync_or_forget(void *context, enum gc_dma_direction direction, struct gc_dma_segment part)
{
    struct ref_card *card = context;
    bool inside = part.address < filter.to && part.address + part.size > filter.from;
    if (filter.active && direction == filter.direction && inside)
        return;
    if (!ref_is_coherent(card))
        ref_sync(card, direction, part);
}

static void forget(
        enum gc_dma_direction direction, const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    filter.from = gc_dma_address(buffer, offset);
    filter.to = filter.from + size;
    filter.direction = direction;
    filter.active = true;
}

static void remember(void)
{
    filter.active = false;
}

static bool to_card(struct app *app, struct pair *pair, size_t offset, struct gc_error *error)
{
    return ref_submit(&pair->h2c, &pair->source, offset, SIZE, 0, error) &&
           wait_done(app, &pair->h2c, SIZE, error);
}

static bool from_card(struct app *app, struct pair *pair, struct gc_error *error)
{
    return ref_submit(&pair->c2h, &pair->sink, 0, SIZE, 0, error) && wait_done(app, &pair->c2h, SIZE, error);
}

/* The result of a round. */
struct finding {
    bool old;   /* the old bytes, as expected with a card that is not coherent */
    bool right; /* the bytes of this round */
};

/* One kind of forgotten synchronisation: a round of it, and its effect with a card that is not coherent. */
struct duty {
    const char *forgotten, *seen;
    bool (*round)(struct app *app, struct pair *pair, unsigned number, struct finding *finding,
            struct gc_error *error);
};

/* The seed of the data of round `number`, different from all others. */
static uint64_t seed_of(unsigned number)
{
    return 1000 + number;
}

static bool sink_is_poison(const struct pair *pair)
{
    char bytes[SIZE];
    gc_dma_read(&pair->sink, 0, bytes, sizeof(bytes));
    for (size_t at = 0; at < sizeof(bytes); at += sizeof(POISON) - 1)
        if (memcmp(bytes + at, POISON, sizeof(POISON) - 1) != 0)
            return false;
    return true;
}

/* New data in a range that was never synchronised. */
static bool forget_new_data(
        struct app *app, struct pair *pair, unsigned number, struct finding *finding, struct gc_error *error)
{
    size_t offset = (size_t)(1 + number) * SIZE;
    fill_pattern(&pair->source, offset, SIZE, seed_of(number));
    forget(GC_DMA_FOR_DEVICE, &pair->source, offset, SIZE);
    bool moved = to_card(app, pair, offset, error);
    remember();
    if (!moved || !from_card(app, pair, error))
        return false;
    gc_dma_sync_for_cpu(&pair->sink, 0, SIZE);
    *finding = (struct finding){sink_is_poison(pair), is_same(&pair->source, offset, &pair->sink, 0, SIZE)};
    return true;
}

/* Changed data in a range that was sent before. */
static bool forget_data(
        struct app *app, struct pair *pair, unsigned number, struct finding *finding, struct gc_error *error)
{
    gc_dma_fill(&pair->source, 0, OLD, SIZE);
    if (!to_card(app, pair, 0, error))
        return false;
    fill_pattern(&pair->source, 0, SIZE, seed_of(number));
    forget(GC_DMA_FOR_DEVICE, &pair->source, 0, SIZE);
    bool moved = to_card(app, pair, 0, error);
    remember();
    if (!moved || !from_card(app, pair, error))
        return false;
    gc_dma_sync_for_cpu(&pair->sink, 0, SIZE);
    finding->old = is_filled(&pair->sink, 0, SIZE, OLD);
    finding->right = is_same(&pair->source, 0, &pair->sink, 0, SIZE);
    return true;
}

/* The card finds an old descriptor in the ring, which it does not own. */
static bool forget_descriptor(
        struct app *app, struct pair *pair, unsigned number, struct finding *finding, struct gc_error *error)
{
    const struct ref_channel *h2c = &pair->h2c;
    struct ref_completion completion;
    uint32_t index = h2c->producer;
    fill_pattern(&pair->source, 0, SIZE, seed_of(number));
    forget(GC_DMA_FOR_DEVICE, &app->card.control, h2c->ring_offset, h2c->ring_size * sizeof(*h2c->ring));
    bool handed_over = ref_submit(&pair->h2c, &pair->source, 0, SIZE, 0, error);
    remember();
    if (!handed_over || !ref_wait(&pair->h2c, APP_WAIT_MS, &completion, error))
        return false;
    finding->old = completion.halted && completion.error_index == index &&
                   completion.error_code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_NOT_OWNED;
    finding->right = !completion.halted;
    if (!completion.halted)
        return true;
    ref_sync_descriptor(&pair->h2c, index);
    ref_clear_error(&pair->h2c);
    return wait_done(app, &pair->h2c, SIZE, error);
}

static bool forget_received(
        struct app *app, struct pair *pair, unsigned number, struct finding *finding, struct gc_error *error)
{
    fill_pattern(&pair->source, 0, SIZE, seed_of(number));
    gc_dma_fill(&pair->sink, 0, FILL, SIZE);
    if (!to_card(app, pair, 0, error) || !from_card(app, pair, error))
        return false;
    forget(GC_DMA_FOR_CPU, &pair->sink, 0, SIZE);
    gc_dma_sync_for_cpu(&pair->sink, 0, SIZE);
    remember();
    finding->old = is_filled(&pair->sink, 0, SIZE, FILL);
    finding->right = is_same(&pair->source, 0, &pair->sink, 0, SIZE);
    gc_dma_sync_for_cpu(&pair->sink, 0, SIZE);
    if (!is_same(&pair->source, 0, &pair->sink, 0, SIZE))
        return gc_fail(error, "the data are wrong after they were synchronised for the CPU");
    return true;
}

/* The interrupt has arrived, but the write-back block is unchanged. */
static bool forget_write_back(
        struct app *app, struct pair *pair, unsigned number, struct finding *finding, struct gc_error *error)
{
    (void)number;
    struct ref_channel *h2c = &pair->h2c;
    uint32_t before = ref_consumer(h2c);
    uint64_t taken;
    if (!ref_submit(h2c, &pair->source, 0, SIZE, 0, error) ||
            !ref_irq_wait(&app->card, h2c->source, APP_WAIT_MS, &taken, error))
        return false;
    if (taken == 0)
        return gc_fail(error, "no interrupt within %d ms", APP_WAIT_MS);
    forget(GC_DMA_FOR_CPU, &app->card.control, h2c->write_back_offset, sizeof(*h2c->write_back));
    uint32_t seen = ref_consumer(h2c);
    remember();
    finding->old = seen == before;
    finding->right = seen == h2c->producer;
    if (!ref_look(h2c, false).all)
        return gc_fail(error, "the write-back block is old after it was synchronised for the CPU");
    h2c->due = 0; /* the interrupt was taken above */
    app->bytes += SIZE;
    return true;
}

static const struct duty DUTIES[] = {
        {"new data, for the device", "the card sends \"NOT SYNCHRONISED\"", forget_new_data},
        {"changed data, for the device", "the card sends the old data", forget_data},
        {"a descriptor, for the device", "the card finds none that it owns and halts", forget_descriptor},
        {"received data, for the CPU", "the bytes from before the transfer", forget_received},
        {"the write-back block, for the CPU", "the completion is not visible", forget_write_back},
};

static bool check_duty(struct app *app, struct pair *pair, const struct duty *duty)
{
    bool coherent = ref_is_coherent(&app->card);
    unsigned old = 0, right = 0;
    for (unsigned number = 0; number < rounds; number++) {
        struct gc_error error;
        struct finding finding = {0};
        if (!duty->round(app, pair, number, &finding, &error))
            return app_error(app, &error);
        old += finding.old;
        right += finding.right;
    }
    return app_check(app, (coherent ? right : old) == rounds && (coherent ? old : right) == 0,
            "forgotten: %-34s %u of %u times %s", duty->forgotten, coherent ? right : old, rounds,
            coherent ? "correct" : duty->seen);
}

/* With all synchronisation, as the driver does it. */
static bool check_careful(struct app *app, struct pair *pair, const char *when)
{
    struct gc_error error;
    unsigned right = 0;
    for (unsigned number = 0; number < rounds; number++) {
        fill_pattern(&pair->source, 0, SIZE, seed_of(number));
        gc_dma_fill(&pair->sink, 0, FILL, SIZE);
        if (!to_card(app, pair, 0, &error) || !from_card(app, pair, &error))
            return app_error(app, &error);
        gc_dma_sync_for_cpu(&pair->sink, 0, SIZE);
        right += is_same(&pair->source, 0, &pair->sink, 0, SIZE);
    }
    return app_check(
            app, right == rounds, "nothing forgotten, %-26s %u of %u times correct", when, right, rounds);
}

/* The card's own counters. */
struct counts {
    uint32_t never, stale;
};

static struct counts read_counts(const struct ref_card *card)
{
    return (struct counts){gc_read32(&card->registers, GHOSTCARD_REF_SYNC_NEVER_SYNCED(0)),
            gc_read32(&card->registers, GHOSTCARD_REF_SYNC_STALE(0))};
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--rounds") != 0)
        return false;
    *takes_value = true;
    rounds = value ? (unsigned)strtoul(value, NULL, 0) : rounds;
    return rounds > 0 && rounds <= MAX_ROUNDS;
}

static void check_all(struct app *app, struct pair *pair)
{
    struct counts before = read_counts(&app->card);
    if (!check_careful(app, pair, "before"))
        return;
    struct counts after = read_counts(&app->card);
    app_check(app, after.never == before.never && after.stale == before.stale,
            "  and the card has read no byte that was stale or never synchronised");
    for (size_t i = 0; i < sizeof(DUTIES) / sizeof(DUTIES[0]); i++)
        if (!check_duty(app, pair, &DUTIES[i]))
            return;
    after = read_counts(&app->card);
    uint32_t never = after.never - before.never, stale = after.stale - before.stale;
    bool coherent = ref_is_coherent(&app->card);
    app_check(app, coherent ? never == 0 && stale == 0 : never == rounds * SIZE && stale > 0,
            "the card counts %u bytes never synchronised and %u stale", never, stale);
    app_json_number(app, "never_synchronised", never);
    app_json_number(app, "stale", stale);
    check_careful(app, pair, "after");
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-coherence",
            "forgets to synchronise memory with the card, and checks the effect", "[--rounds N]",
            take_option};
    struct app app;
    struct pair pair;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app) && pair_open(&app, &pair, 0, (1 + MAX_ROUNDS) * SIZE)) {
        bool coherent = ref_is_coherent(&app.card);
        app_say(&app, "%s: the card is %scoherent\n", app.name, coherent ? "" : "not ");
        app_json_text(&app, "coherent", coherent ? "yes" : "no");
        gc_dma_set_sync(app.card.device, sync_or_forget, &app.card);
        ref_select_processing(&app.card, 0, REF_PROCESSING_MEMORY);
        if (pair.source.size < (1 + (size_t)rounds) * SIZE)
            app_give_up(&app, "the DMA buffers are too small for this many rounds: use a smaller --rounds");
        else
            check_all(&app, &pair);
        pair_close(&pair);
    }
    return app_end(&app);
}
