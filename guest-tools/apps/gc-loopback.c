/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends data to the card and back and compares it: sizes from 1 byte to 16 MiB, unaligned host addresses,
 * both channel pairs, through LOOPBACK and through card memory. Bytes next to the target must not be written.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static size_t max_size = 16u << 20;

/* Space on either side of the target, which must stay unchanged. */
enum { GUARD_BYTES = 64, GUARD_VALUE = 0xee };

/*
 * Sizes around the boundaries of words, pages and hugepages, with the offsets of source and target in their
 * pages.
 */
static const struct {
    size_t size, source_offset, target_offset;
} TRANSFERS[] = {
        {1, 0, 0},
        {1, 3, 1},
        {2, 1, 2},
        {3, 5, 7},
        {4, 0, 0},
        {7, 1, 1},
        {8, 0, 4},
        {63, 1, 0},
        {64, 0, 0},
        {65, 63, 62},
        {511, 0, 1},
        {512, 4, 0},
        {4095, 1, 0},
        {4096, 0, 0},
        {4096, 4095, 1},
        {4097, 0, 4095},
        {65535, 13, 31},
        {65536, 0, 0},
        {(1 << 20) - 1, 3, 5},
        {1 << 20, 0, 0},
        {(2 << 20) + 1, 2, 4093}, /* crosses the boundary of a hugepage */
        {5000001, 4001, 77},
        {16 << 20, 0, 0},
        {16 << 20, 1, 4095},
};
enum { TRANSFER_COUNT = sizeof(TRANSFERS) / sizeof(TRANSFERS[0]) };

/*
 * To the card and back. With LOOPBACK, the card's buffer is small, so both directions must be in progress at
 * once.
 */
static bool move(struct app *app, struct pair *pair, enum ref_processing processing, size_t source,
        size_t target, size_t size, uint64_t card_address, struct gc_error *error)
{
    uint64_t started_ns = gc_now_ns();
    bool moved = processing == REF_PROCESSING_LOOPBACK
                         ? ref_submit(&pair->c2h, &pair->sink, target, size, 0, error) &&
                                   ref_submit(&pair->h2c, &pair->source, source, size, 0, error) &&
                                   wait_done(app, &pair->h2c, size, error) &&
                                   wait_done(app, &pair->c2h, size, error)
                         : ref_submit(&pair->h2c, &pair->source, source, size, card_address, error) &&
                                   wait_done(app, &pair->h2c, size, error) &&
                                   ref_submit(&pair->c2h, &pair->sink, target, size, card_address, error) &&
                                   wait_done(app, &pair->c2h, size, error);
    gc_dma_sync_for_cpu(&pair->sink, target, size);
    app->dma_ns += gc_now_ns() - started_ns;
    return moved;
}

static bool check_one(struct app *app, struct pair *pair, enum ref_processing processing, unsigned i)
{
    struct gc_error error;
    size_t size = TRANSFERS[i].size;
    size_t source = GUARD_BYTES + TRANSFERS[i].source_offset,
           target = GUARD_BYTES + TRANSFERS[i].target_offset;
    /* Anywhere in card memory where it fits, even unaligned. */
    uint64_t card_address = (GHOSTCARD_REF_MEMORY_SIZE_RESET - size) / 2;
    const char *name = processing == REF_PROCESSING_LOOPBACK ? "LOOPBACK" : "MEMORY";

    fill_pattern(&pair->source, source, size, i + 1);
    gc_dma_fill(&pair->sink, target - GUARD_BYTES, GUARD_VALUE, size + 2 * GUARD_BYTES);
    if (!move(app, pair, processing, source, target, size, card_address, &error)) {
        app_say(app, "pair %u, %s, %zu bytes:\n", pair->index, name, size);
        return app_error(app, &error);
    }
    bool same = is_same(&pair->source, source, &pair->sink, target, size);
    bool guarded = is_filled(&pair->sink, target - GUARD_BYTES, GUARD_BYTES, GUARD_VALUE) &&
                   is_filled(&pair->sink, target + size, GUARD_BYTES, GUARD_VALUE);
    return app_check(app, same && guarded, "pair %u, %-8s %8zu bytes, source +%zu, target +%zu%s%s",
            pair->index, name, size, TRANSFERS[i].source_offset, TRANSFERS[i].target_offset,
            same ? "" : ": the data differ", guarded ? "" : ": bytes next to the target were overwritten");
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--max-size") != 0)
        return false;
    *takes_value = true;
    max_size = value ? strtoull(value, NULL, 0) : max_size;
    return max_size > 0;
}

/* Whether transfer `i` with its guards fits into the buffers, at its offset in the page. */
static bool fits(const struct pair *pair, unsigned i)
{
    size_t offset = TRANSFERS[i].source_offset > TRANSFERS[i].target_offset ? TRANSFERS[i].source_offset
                                                                            : TRANSFERS[i].target_offset;
    return TRANSFERS[i].size + offset + 2 * GUARD_BYTES <= pair->source.size;
}

static void check_pair(struct app *app, unsigned index)
{
    static const enum ref_processing FUNCTIONS[] = {REF_PROCESSING_LOOPBACK, REF_PROCESSING_MEMORY};
    struct pair pair;
    size_t largest = max_size < (16u << 20) ? max_size : 16u << 20;
    if (!pair_open(app, &pair, index, largest + 4096 + 2 * GUARD_BYTES))
        return;
    for (size_t k = 0; k < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]); k++) {
        ref_select_processing(&app->card, index, FUNCTIONS[k]);
        for (unsigned i = 0; i < TRANSFER_COUNT; i++) {
            if (TRANSFERS[i].size > max_size)
                continue;
            if (!fits(&pair, i)) {
                app_not_possible(app, "a transfer of %zu bytes in contiguous memory", TRANSFERS[i].size);
                continue;
            }
            if (!check_one(app, &pair, FUNCTIONS[k], i))
                goto out; /* the channels may be in any state */
        }
    }
out:
    pair_close(&pair);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-loopback", "moves data to the card and back and compares it",
            "[--max-size BYTES]", take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app)) {
        for (unsigned pair = 0; pair < app.card.channel_pairs && !app.cannot_go_on; pair++)
            check_pair(&app, pair);
    }
    return app_end(&app);
}
