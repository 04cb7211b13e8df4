/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the card compute CRC-32C of packets with one or many descriptors, and checks the results against
 * crc32c() in transfer.c. --self-test checks that function against published values, without a card.
 */
#include "transfer.h"

#include <string.h>

static bool self_test;

static const struct {
    size_t size, offset;
    unsigned descriptors; /* number of descriptors for the packet */
} PACKETS[] = {
        {1, 0, 1},
        {3, 1, 1},
        {4, 0, 1},
        {9, 7, 1},
        {64, 0, 1},
        {1500, 2, 1},
        {1500, 0, 3},
        {4096, 0, 1},
        {65537, 1, 7},
        {1 << 20, 0, 1},
        {(1 << 20) + 3, 5, 32},
        {4 << 20, 9, 16},
};
enum { PACKET_COUNT = sizeof(PACKETS) / sizeof(PACKETS[0]), MAX_PACKET = (4 << 20) + 64, CRC_BYTES = 4 };

/* Test vectors of RFC 3720, appendix B.4, and the check value of the CRC catalogues. */
static void run_self_test(struct app *app)
{
    uint8_t bytes[48];
    memset(bytes, 0x00, 32);
    app_check(app, crc32c(0, bytes, 32) == 0x8a9136aa, "32 bytes of 0x00: 0x%08x", crc32c(0, bytes, 32));
    memset(bytes, 0xff, 32);
    app_check(app, crc32c(0, bytes, 32) == 0x62a8ab43, "32 bytes of 0xff: 0x%08x", crc32c(0, bytes, 32));
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    app_check(app, crc32c(0, bytes, 32) == 0x46dd794e, "0x00 to 0x1f: 0x%08x", crc32c(0, bytes, 32));
    app_check(app, crc32c(crc32c(0, bytes, 11), bytes + 11, 21) == 0x46dd794e, "the same in two parts");
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    app_check(app, crc32c(0, bytes, 32) == 0x113fdb5c, "0x1f to 0x00: 0x%08x", crc32c(0, bytes, 32));
    app_check(
            app, crc32c(0, "123456789", 9) == 0xe3069283, "\"123456789\": 0x%08x", crc32c(0, "123456789", 9));
    app_check(app, crc32c(0, "", 0) == 0, "nothing: 0x%08x", crc32c(0, "", 0));
}

/*
 * A packet in `pieces` descriptors of about the same length. Only the last one ends the packet and
 * interrupts.
 */
static void submit_packet(struct pair *pair, size_t offset, size_t size, unsigned pieces)
{
    const struct gc_dma_buffer *buffer = &pair->source;
    size_t piece = size / pieces;
    gc_dma_sync_for_device(buffer, offset, size);
    for (size_t left = size; left > 0;) {
        size_t want = pieces > 1 ? piece : left;
        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset + size - left, want);
        uint32_t control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK;
        if (part.size == left)
            control |= GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK | GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
        ref_put(&pair->h2c, control, part.address, (uint32_t)part.size, 0);
        left -= part.size;
        if (part.size == want && pieces > 1)
            pieces--;
    }
    ref_doorbell(&pair->h2c);
}

static uint32_t crc32c_of(const struct gc_dma_buffer *buffer, size_t offset, size_t size)
{
    uint8_t bytes[4096];
    uint32_t crc = 0;
    for (size_t piece; size > 0; offset += piece, size -= piece) {
        piece = size < sizeof(bytes) ? size : sizeof(bytes);
        gc_dma_read(buffer, offset, bytes, piece);
        crc = crc32c(crc, bytes, piece);
    }
    return crc;
}

static bool check_packet(struct app *app, struct pair *pair, unsigned i)
{
    struct gc_error error;
    size_t size = PACKETS[i].size, offset = PACKETS[i].offset;
    fill_pattern(&pair->source, offset, size, i + 100);
    gc_dma_fill(&pair->sink, 0, 0, 2 * CRC_BYTES);
    uint64_t started_ns = gc_now_ns();
    /* The buffer is larger than the result, so the end of the packet must complete the descriptor. */
    uint32_t index = pair->c2h.producer;
    bool done = ref_submit(&pair->c2h, &pair->sink, 0, 2 * CRC_BYTES, 0, &error);
    if (done) {
        submit_packet(pair, offset, size, PACKETS[i].descriptors);
        done = wait_done(app, &pair->h2c, size, &error) && wait_done(app, &pair->c2h, CRC_BYTES, &error);
    }
    app->dma_ns += gc_now_ns() - started_ns;
    if (!done)
        return app_error(app, &error);
    gc_dma_sync_for_cpu(&pair->sink, 0, CRC_BYTES);
    uint32_t seen, expected = crc32c_of(&pair->source, offset, size);
    gc_dma_read(&pair->sink, 0, &seen, sizeof(seen));
    uint32_t transferred = ref_transferred(&pair->c2h, index);
    return app_check(app, seen == expected && transferred == CRC_BYTES,
            "pair %u, packet of %7zu bytes in %2u descriptors: 0x%08x, expected 0x%08x, %u bytes",
            pair->index, size, PACKETS[i].descriptors, seen, expected, transferred);
}

/* Many packets handed over at once must give as many results, in order. */
static bool check_burst(struct app *app, struct pair *pair)
{
    enum { BURST = 16, SIZE = 1000 };
    struct gc_error error = {"no error"};
    bool done = true;
    fill_pattern(&pair->source, 0, BURST * SIZE, 7);
    for (unsigned i = 0; done && i < BURST; i++)
        done = ref_submit(&pair->c2h, &pair->sink, i * CRC_BYTES, CRC_BYTES, 0, &error);
    for (unsigned i = 0; done && i < BURST; i++)
        submit_packet(pair, i * SIZE, SIZE, 1);
    if (!done || !wait_done(app, &pair->h2c, BURST * SIZE, &error) ||
            !wait_done(app, &pair->c2h, BURST * CRC_BYTES, &error))
        return app_error(app, &error);
    gc_dma_sync_for_cpu(&pair->sink, 0, BURST * CRC_BYTES);
    unsigned right = 0;
    for (unsigned i = 0; i < BURST; i++) {
        uint32_t seen;
        gc_dma_read(&pair->sink, i * CRC_BYTES, &seen, sizeof(seen));
        right += seen == crc32c_of(&pair->source, i * SIZE, SIZE);
    }
    return app_check(app, right == BURST, "pair %u, %d packets at once: %u results are correct and in order",
            pair->index, BURST, right);
}

static void check_pair(struct app *app, unsigned index)
{
    struct pair pair;
    if (!pair_open(app, &pair, index, MAX_PACKET))
        return;
    ref_select_processing(&app->card, index, REF_PROCESSING_CRC32C);
    bool good = true;
    for (unsigned i = 0; good && i < PACKET_COUNT; i++) {
        if (PACKETS[i].offset + PACKETS[i].size <= pair.source.size)
            good = check_packet(app, &pair, i);
        else
            app_not_possible(app, "a packet of %zu bytes in contiguous memory", PACKETS[i].size);
    }
    if (good)
        check_burst(app, &pair);
    pair_close(&pair);
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    (void)value;
    (void)takes_value;
    self_test = strcmp(name, "--self-test") == 0;
    return self_test;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-crc", "lets the card compute CRC-32C of packets and checks it", "[--self-test]", take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (self_test) {
        run_self_test(&app);
    } else if (app_open_card(&app)) {
        for (unsigned pair = 0; pair < app.card.channel_pairs && !app.cannot_go_on; pair++)
            check_pair(&app, pair);
    }
    return app_end(&app);
}
