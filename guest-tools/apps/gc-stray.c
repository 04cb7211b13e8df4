/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stray DMA: a descriptor with the physical address of a page that the card was never given. Without an IOMMU
 * the page is overwritten, or read, and nothing reports it. Behind an IOMMU the access is refused, and the
 * card reports the address.
 *
 * The page belongs to this program, and so does all memory that an error of this program could hit.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>

enum { SIZE = 4096, UNTOUCHED = 0x5a, CARD_SEED = 11, SECRET_SEED = 12 };

/* More hugepages than this app maps buffers, so that one is at an address where nothing is mapped. */
enum { VICTIM_PAGES = 6 };

struct stray {
    struct app *app;
    struct pair pair;
    bool has_iommu;
    struct gc_dma_buffer victim;
    size_t offset;    /* of the target bytes */
    uint64_t address; /* their physical address, which the card is given */
};

static bool is_inside(const struct gc_dma_buffer *buffer, uint64_t address)
{
    for (size_t i = 0; i < buffer->segment_count; i++) {
        const struct gc_dma_segment *segment = &buffer->segments[i];
        if (address >= segment->address && address - segment->address < segment->size)
            return true;
    }
    return false;
}

/* Behind an IOMMU, a buffer may happen to be mapped at the target's physical address. */
static bool choose_victim(struct stray *stray)
{
    struct gc_error error;
    const struct gc_dma_buffer *given[] = {&stray->app->card.control, &stray->pair.source, &stray->pair.sink};
    if (!gc_physical_alloc(&stray->victim, VICTIM_PAGES * (size_t)(2 << 20), &error))
        return app_give_up(stray->app, error.message);
    for (size_t offset = 0; offset < stray->victim.size; offset += 2 << 20) {
        uint64_t address = gc_dma_address(&stray->victim, offset);
        bool is_given = false;
        for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
            is_given = is_given || is_inside(given[i], address);
        if (!is_given) {
            stray->offset = offset;
            stray->address = address;
            return true;
        }
    }
    return app_give_up(stray->app, "the address of every target page is mapped for the card");
}

/* Hands over one descriptor and waits until it is done or refused. */
static bool try(struct stray *stray, struct ref_channel *channel, uint64_t address, uint32_t size,
        struct ref_completion *completion)
{
    struct gc_error error;
    uint32_t control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK | GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK |
                       GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
    ref_put(channel, control, address, size, 0);
    ref_doorbell(channel);
    if (!ref_wait(channel, APP_WAIT_MS, completion, &error))
        return app_error(stray->app, &error);
    if (completion->halted && !ref_channel_reset(channel, &error))
        return app_error(stray->app, &error);
    return true;
}

static bool was_refused(const struct ref_completion *completion, uint64_t address)
{
    return completion->halted &&
           completion->error_code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS &&
           completion->error_address == address;
}

/* Checks the card's report: passed if it has that exact address. */
static void check_refused(
        struct stray *stray, const char *what, const struct ref_completion *completion, uint64_t address)
{
    app_check(stray->app, was_refused(completion, address),
            "%s: the card reports %s at 0x%" PRIx64 " (expected %s at 0x%" PRIx64 ")", what,
            completion->halted ? ref_error_name(completion->error_code) : "nothing",
            completion->error_address, ref_error_name(GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS),
            address);
}

static void report(
        struct stray *stray, const char *name, const char *outcome, const struct ref_completion *completion)
{
    char member[64], text[32];
    app_json_text(stray->app, name, outcome);
    if (!completion->halted)
        return;
    snprintf(member, sizeof(member), "%s_error", name);
    app_json_text(stray->app, member, ref_error_name(completion->error_code));
    snprintf(member, sizeof(member), "%s_error_address", name);
    snprintf(text, sizeof(text), "0x%" PRIx64, completion->error_address);
    app_json_text(stray->app, member, text);
}

/* A regular transfer between the program and card memory. */
static bool move(struct stray *stray, struct ref_channel *channel, const struct gc_dma_buffer *buffer)
{
    struct gc_error error;
    if (!ref_submit(channel, buffer, 0, SIZE, 0, &error) || !wait_done(stray->app, channel, SIZE, &error))
        return app_error(stray->app, &error);
    gc_dma_sync_for_cpu(buffer, 0, SIZE);
    return true;
}

/* So that caches do not hide the effect on the page; behind an IOMMU the card cannot reach it anyway. */
static void sync_victim(struct stray *stray, enum gc_dma_direction direction)
{
    if (!stray->has_iommu)
        ref_sync_address(&stray->app->card, direction, stray->address, SIZE);
}

static bool stray_write(struct stray *stray)
{
    struct pair *pair = &stray->pair;
    struct ref_completion completion;
    fill_pattern(&pair->source, 0, SIZE, CARD_SEED);
    gc_dma_fill(&stray->victim, stray->offset, UNTOUCHED, SIZE);
    sync_victim(stray, GC_DMA_FOR_DEVICE);
    if (!move(stray, &pair->h2c, &pair->source) || !try(stray, &pair->c2h, stray->address, SIZE, &completion))
        return false;
    sync_victim(stray, GC_DMA_FOR_CPU);
    bool intact = is_filled(&stray->victim, stray->offset, SIZE, UNTOUCHED);
    bool changed = is_same(&stray->victim, stray->offset, &pair->source, 0, SIZE);
    report(stray, "stray_write", changed ? "changed" : intact ? "refused" : "damaged", &completion);
    if (stray->has_iommu) {
        check_refused(stray, "a stray write", &completion, stray->address);
        app_check(stray->app, intact, "  the target page is unchanged");
    } else {
        app_check(stray->app, changed && !completion.halted,
                "a stray write to 0x%" PRIx64 " overwrote %d bytes of a page that the card was never "
                "given; the card reports %s",
                stray->address, SIZE, completion.halted ? ref_error_name(completion.error_code) : "nothing");
    }
    return true;
}

static bool stray_read(struct stray *stray)
{
    struct pair *pair = &stray->pair;
    struct ref_completion completion;
    fill_pattern(&stray->victim, stray->offset, SIZE, SECRET_SEED);
    sync_victim(stray, GC_DMA_FOR_DEVICE);
    gc_dma_fill(&pair->sink, 0, 0, SIZE);
    if (!try(stray, &pair->h2c, stray->address, SIZE, &completion) || !move(stray, &pair->c2h, &pair->sink))
        return false;
    bool leaked = is_same(&stray->victim, stray->offset, &pair->sink, 0, SIZE);
    bool as_before = is_same(&pair->source, 0, &pair->sink, 0, SIZE);
    report(stray, "stray_read", leaked ? "leaked" : as_before ? "refused" : "damaged", &completion);
    if (stray->has_iommu) {
        check_refused(stray, "a stray read", &completion, stray->address);
        app_check(stray->app, as_before, "  card memory is unchanged");
    } else {
        app_check(stray->app, leaked && !completion.halted,
                "a stray read copied %d bytes of that page into card memory", SIZE);
    }
    return true;
}

/* A transfer that overruns a buffer by one page, which is not mapped. */
static bool overrun(struct stray *stray)
{
    const struct gc_dma_buffer *sink = &stray->pair.sink;
    uint64_t last = gc_dma_address(sink, sink->size - SIZE);
    struct ref_completion completion;
    if (!try(stray, &stray->pair.c2h, last, 2 * SIZE, &completion))
        return false;
    check_refused(stray, "a write over the end of a buffer", &completion, last + SIZE);
    return true;
}

/* The card must not reach a buffer that was freed. */
static bool use_after_free(struct stray *stray)
{
    struct gc_dma_buffer buffer;
    struct gc_error error;
    struct ref_completion completion;
    if (!gc_dma_alloc(stray->app->card.device, &buffer, SIZE, &error))
        return app_error(stray->app, &error);
    uint64_t address = gc_dma_address(&buffer, 0);
    if (!try(stray, &stray->pair.c2h, address, SIZE, &completion)) {
        gc_dma_free(&buffer);
        return false;
    }
    app_check(stray->app, !completion.halted, "a write to a buffer of the card is done");
    gc_dma_free(&buffer);
    if (!try(stray, &stray->pair.c2h, address, SIZE, &completion))
        return false;
    check_refused(stray, "a write to a buffer that has been freed", &completion, address);
    return true;
}

static void run(struct stray *stray)
{
    char text[32];
    stray->has_iommu = gc_has_iommu(stray->app->card.device);
    app_json_text(stray->app, "iommu", stray->has_iommu ? "yes" : "no");
    if (!choose_victim(stray))
        return;
    snprintf(text, sizeof(text), "0x%" PRIx64, stray->address);
    app_json_text(stray->app, "stray_address", text);
    ref_select_processing(&stray->app->card, 0, REF_PROCESSING_MEMORY);
    if (!stray_write(stray) || !stray_read(stray))
        return;
    if (!stray->has_iommu)
        app_not_possible(stray->app, "a write over the end of a buffer, or to one that was freed: without an "
                                     "IOMMU to refuse it, it "
                                     "would hit memory of others");
    else if (overrun(stray))
        use_after_free(stray);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-stray", "aims DMA at a page that the card was never given, and shows the effect", "", NULL};
    struct app app;
    struct stray stray = {.app = &app};
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app) && pair_open(&app, &stray.pair, 0, SIZE)) {
        run(&stray);
        pair_close(&stray.pair);
    }
    gc_physical_free(&stray.victim);
    return app_end(&app);
}
