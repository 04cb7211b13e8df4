/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifies the card, and checks that registers can be read and written. A first example of how to use the
 * library.
 */
#include "app.h"

#include <inttypes.h>

static uint32_t field(uint32_t value, uint32_t mask, unsigned shift)
{
    return (value & mask) >> shift;
}

static void identify(struct app *app)
{
    const struct ref_card *card = &app->card;
    uint32_t major =
            field(card->version, GHOSTCARD_REF_VERSION_MAJOR_MASK, GHOSTCARD_REF_VERSION_MAJOR_SHIFT);
    uint32_t minor =
            field(card->version, GHOSTCARD_REF_VERSION_MINOR_MASK, GHOSTCARD_REF_VERSION_MINOR_SHIFT);
    uint32_t vectors = field(card->capabilities, GHOSTCARD_REF_CAPABILITIES_VECTORS_MASK,
            GHOSTCARD_REF_CAPABILITIES_VECTORS_SHIFT);
    uint32_t address_bits = field(card->capabilities, GHOSTCARD_REF_CAPABILITIES_ADDRESS_BITS_MASK,
            GHOSTCARD_REF_CAPABILITIES_ADDRESS_BITS_SHIFT);
    uint64_t memory_bytes = gc_read64(&card->registers, GHOSTCARD_REF_MEMORY_SIZE);
    app_say(app, "  register map       %u.%u\n  channel pairs      %u\n  interrupt vectors  %u\n", major,
            minor, card->channel_pairs, vectors);
    app_say(app, "  host address bits  %u\n  card memory        %" PRIu64 " bytes\n", address_bits,
            memory_bytes);
    app_json_number(app, "version_major", major);
    app_json_number(app, "version_minor", minor);
    app_json_number(app, "channel_pairs", card->channel_pairs);
    app_json_number(app, "vectors", vectors);
    app_json_number(app, "address_bits", address_bits);
    app_json_number(app, "memory_bytes", memory_bytes);
    app_check(app, memory_bytes == card->memory.size, "MEMORY_SIZE is the size of the window: %zu bytes",
            card->memory.size);
    app_check(app, card->registers.size == GHOSTCARD_REF_SIZE,
            "the register window has the %u bytes of the register map", GHOSTCARD_REF_SIZE);
}

static void check_scratch(struct app *app)
{
    static const uint64_t PATTERNS[] = {
            0, UINT64_MAX, UINT64_C(0xa5a5a5a55a5a5a5a), UINT64_C(0x0123456789abcdef)};
    const struct gc_window *registers = &app->card.registers;
    for (size_t i = 0; i < sizeof(PATTERNS) / sizeof(PATTERNS[0]); i++) {
        uint32_t low = (uint32_t)PATTERNS[i];
        gc_write32(registers, GHOSTCARD_REF_SCRATCH, low);
        gc_write64(registers, GHOSTCARD_REF_SCRATCH64, PATTERNS[i]);
        uint32_t seen = gc_read32(registers, GHOSTCARD_REF_SCRATCH);
        uint64_t seen64 = gc_read64(registers, GHOSTCARD_REF_SCRATCH64);
        app_check(app, seen == low, "SCRATCH holds 0x%08x (read 0x%08x)", low, seen);
        app_check(app, seen64 == PATTERNS[i], "SCRATCH64 holds 0x%016" PRIx64 " (read 0x%016" PRIx64 ")",
                PATTERNS[i], seen64);
    }
    gc_write32(registers, GHOSTCARD_REF_ID, 0);
    app_check(app, gc_read32(registers, GHOSTCARD_REF_ID) == GHOSTCARD_REF_ID_RESET, "ID cannot be written");
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-identify", "identifies the card and checks its registers", "", NULL};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app)) {
        identify(&app);
        check_scratch(&app);
    }
    return app_end(&app);
}
