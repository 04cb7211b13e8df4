/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests on-card memory through its window (BAR2): data lines (walking bits), address lines (every word at an
 * offset with a single address bit set), accesses of every size at every alignment, a sample of words across
 * the whole memory, and the same memory accessed by DMA.
 *
 * An access through a window that is not mapped takes about 100 us under emulation, so words are sampled: see
 * --words.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static unsigned words = 256;

static bool check_word(struct app *app, size_t offset, uint64_t expected, unsigned *wrong)
{
    uint64_t seen = gc_read64(&app->card.memory, offset);
    app->bytes += sizeof(seen);
    if (seen == expected)
        return true;
    if ((*wrong)++ < 4)
        app_say(app, "        at 0x%zx: 0x%016" PRIx64 " instead of 0x%016" PRIx64 "\n", offset, seen,
                expected);
    return false;
}

static void put_word(struct app *app, size_t offset, uint64_t value)
{
    gc_write64(&app->card.memory, offset, value);
    app->bytes += sizeof(value);
}

static void check_data_lines(struct app *app)
{
    unsigned wrong = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        put_word(app, 0, UINT64_C(1) << bit);
        put_word(app, 8, ~(UINT64_C(1) << bit)); /* in between, so that no stale value is read */
        check_word(app, 0, UINT64_C(1) << bit, &wrong);
        check_word(app, 8, ~(UINT64_C(1) << bit), &wrong);
    }
    app_check(app, wrong == 0, "data lines: walking one and walking zero through 64 bits, %u wrong", wrong);
}

/*
 * Offset 0 and every power of two get different values; a stuck or shorted address line makes two of them
 * equal.
 */
static void check_address_lines(struct app *app)
{
    size_t size = app->card.memory.size;
    unsigned wrong = 0, lines = 0;
    put_word(app, 0, UINT64_C(0xa0a0a0a0a0a0a0a0));
    for (size_t offset = 8; offset < size; offset *= 2)
        put_word(app, offset, ~(uint64_t)offset);
    put_word(app, size - 8, UINT64_C(0x5f5f5f5f5f5f5f5f));
    check_word(app, 0, UINT64_C(0xa0a0a0a0a0a0a0a0), &wrong);
    for (size_t offset = 8; offset < size; offset *= 2, lines++)
        check_word(app, offset, ~(uint64_t)offset, &wrong);
    check_word(app, size - 8, UINT64_C(0x5f5f5f5f5f5f5f5f), &wrong);
    app_check(app, wrong == 0, "address lines: %u of them up to %zu bytes, %u wrong", lines, size, wrong);
}

/* Offset of sample `i`: spread over the memory, all different. */
static size_t sample(const struct app *app, unsigned i)
{
    return (size_t)((uint64_t)i * (app->card.memory.size / 8) / words) * 8;
}

static void check_own_addresses(struct app *app)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < words; i++)
        put_word(app, sample(app, i), sample(app, i));
    for (unsigned i = 0; i < words; i++)
        check_word(app, sample(app, i), sample(app, i), &wrong);
    app_check(app, wrong == 0, "own address: %u words across the whole memory, %u wrong", words, wrong);
}

static void write_size(const struct gc_window *window, size_t offset, unsigned size, uint64_t value)
{
    if (size == 1)
        gc_write8(window, offset, (uint8_t)value);
    else if (size == 2)
        gc_write16(window, offset, (uint16_t)value);
    else if (size == 4)
        gc_write32(window, offset, (uint32_t)value);
    else
        gc_write64(window, offset, value);
}

static uint64_t read_size(const struct gc_window *window, size_t offset, unsigned size)
{
    return size == 1   ? gc_read8(window, offset)
           : size == 2 ? gc_read16(window, offset)
           : size == 4 ? gc_read32(window, offset)
                       : gc_read64(window, offset);
}

/* An access of each size at each offset in a 16-byte field must change or read exactly those bytes. */
static void check_access_sizes(struct app *app)
{
    const struct gc_window *memory = &app->card.memory;
    const uint64_t value = UINT64_C(0x8877665544332211);
    uint8_t expected[16], seen[16];
    for (unsigned size = 1; size <= 8; size *= 2) {
        unsigned wrong = 0;
        for (size_t place = 0; place < sizeof(expected); place += size) {
            memset(expected, 0xcc, sizeof(expected));
            put_word(app, 0x100, UINT64_C(0xcccccccccccccccc));
            put_word(app, 0x108, UINT64_C(0xcccccccccccccccc));
            write_size(memory, 0x100 + place, size, value);
            memcpy(expected + place, &value, size);
            for (size_t at = 0; at < sizeof(seen); at += size) {
                uint64_t part = read_size(memory, 0x100 + at, size);
                memcpy(seen + at, &part, size);
            }
            app->bytes += size + sizeof(seen);
            wrong += memcmp(seen, expected, sizeof(seen)) != 0;
        }
        app_check(
                app, wrong == 0, "accesses of %u bytes: at every offset in 16 bytes, %u wrong", size, wrong);
    }
}

/* The samples that are in the piece of memory at `start`. */
static unsigned first_sample(const struct app *app, size_t start)
{
    unsigned i = 0;
    while (i < words && sample(app, i) < start)
        i++;
    return i;
}

/* Writes the words of the piece through the window, then reads the piece by DMA into the sink. */
static bool read_by_dma(struct app *app, struct pair *pair, size_t start, size_t size, unsigned *wrong)
{
    struct gc_error error;
    if (!ref_submit(&pair->c2h, &pair->sink, 0, size, start, &error) ||
            !wait_done(app, &pair->c2h, size, &error))
        return app_error(app, &error);
    gc_dma_sync_for_cpu(&pair->sink, 0, size);
    for (unsigned i = first_sample(app, start), end = first_sample(app, start + size); i < end; i++) {
        uint64_t seen;
        gc_dma_read(&pair->sink, sample(app, i) - start, &seen, sizeof(seen));
        *wrong += seen != ~(uint64_t)sample(app, i);
    }
    return true;
}

/* Writes the piece by DMA from the source, then reads its words through the window. */
static bool write_by_dma(struct app *app, struct pair *pair, size_t start, size_t size, unsigned *wrong)
{
    struct gc_error error;
    fill_pattern(&pair->source, 0, size, start + 42);
    if (!ref_submit(&pair->h2c, &pair->source, 0, size, start, &error) ||
            !wait_done(app, &pair->h2c, size, &error))
        return app_error(app, &error);
    for (unsigned i = first_sample(app, start), end = first_sample(app, start + size); i < end; i++) {
        uint64_t expected;
        gc_dma_read(&pair->source, sample(app, i) - start, &expected, sizeof(expected));
        check_word(app, sample(app, i), expected, wrong);
    }
    return true;
}

/*
 * DMA must read what was written through the window, and the reverse. Covers the whole memory, in pieces of
 * the size of the buffers.
 */
static void check_against_dma(struct app *app)
{
    struct pair pair;
    unsigned read_wrong = 0, write_wrong = 0;
    size_t size = app->card.memory.size, piece;
    bool done = true;
    if (!pair_open(app, &pair, 0, size))
        return;
    ref_select_processing(&app->card, 0, REF_PROCESSING_MEMORY);
    for (unsigned i = 0; i < words; i++)
        put_word(app, sample(app, i), ~(uint64_t)sample(app, i));
    for (size_t start = 0; done && start < size; start += piece) {
        piece = size - start < pair.sink.size ? size - start : pair.sink.size;
        done = read_by_dma(app, &pair, start, piece, &read_wrong) &&
               write_by_dma(app, &pair, start, piece, &write_wrong);
    }
    if (done) {
        app_check(app, read_wrong == 0, "written through the window, read by DMA: %u words, %u wrong", words,
                read_wrong);
        app_check(app, write_wrong == 0, "written by DMA, read through the window: %u words, %u wrong", words,
                write_wrong);
    }
    pair_close(&pair);
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--words") != 0)
        return false;
    *takes_value = true;
    words = value ? (unsigned)strtoul(value, NULL, 0) : words;
    return words > 0 && words <= 1u << 21;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-memtest", "tests on-card memory through BAR2 and by DMA", "[--words N]", take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app)) {
        check_data_lines(&app);
        check_address_lines(&app);
        check_own_addresses(&app);
        check_access_sizes(&app);
        check_against_dma(&app);
    }
    return app_end(&app);
}
