/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates thousands of small mappings in an IOMMU: a buffer of single pages in random order, each mapped by
 * itself. Moves data through all of them in long transfers, and checks that unmapped pages are refused, at
 * the exact address.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, DEFAULT_COUNT = 1000, MOST = 60000, DATA_SEED = 21 };

/* Maximum for one descriptor, and for card memory at a time. */
enum { TRANSFER_PAGES = 1024 };

static size_t count = DEFAULT_COUNT;

struct maps {
    struct app *app;
    struct pair pair;
    struct gc_dma_buffer memory;
    uint64_t start; /* IOVA of page 0 */
    size_t mapped;
};

/* The page in memory for a page of IOVAs: a permutation without neighbours. */
static size_t place_of(size_t page)
{
    static const size_t STRIDE = 7919; /* a prime: it has no divisor in common with any count below it */
    return count % STRIDE == 0 ? page : page * STRIDE % count;
}

static bool map_all(struct maps *maps)
{
    struct gc_error error;
    uint64_t started_ns = gc_now_ns();
    for (; maps->mapped < count; maps->mapped++) {
        struct gc_dma_mapping mapping = {
                .bytes = maps->memory.bytes + place_of(maps->mapped) * PAGE,
                .size = PAGE,
                .address = maps->start + maps->mapped * PAGE,
        };
        if (!gc_dma_map(maps->app->card.device, &mapping, &error))
            return app_error(maps->app, &error);
    }
    uint64_t each_ns = (gc_now_ns() - started_ns) / count;
    app_json_number(maps->app, "maps", count);
    app_json_number(maps->app, "map_ns", each_ns);
    return app_check(
            maps->app, true, "%zu pages are mapped one by one (%" PRIu64 " us each)", count, each_ns / 1000);
}

/* One descriptor for up to 4 MiB, which are in a thousand places of memory. */
static bool transfer(struct maps *maps, struct ref_channel *channel, size_t page, size_t pages,
        struct ref_completion *completion)
{
    struct gc_error error;
    uint32_t control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK | GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK |
                       GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
    ref_put(channel, control, maps->start + page * PAGE, (uint32_t)(pages * PAGE), 0);
    ref_doorbell(channel);
    if (!ref_wait(channel, APP_WAIT_MS, completion, &error))
        return app_error(maps->app, &error);
    if (!completion->halted)
        maps->app->bytes += pages * PAGE;
    return true;
}

/* To the card and back, with the pages cleared in between. */
static bool check_data(struct maps *maps)
{
    struct ref_completion down = {0}, up = {0};
    struct ref_card *card = &maps->app->card;
    size_t differing = 0;
    for (size_t page = 0, pages; page < count; page += pages) {
        pages = count - page < TRANSFER_PAGES ? count - page : TRANSFER_PAGES;
        for (size_t i = page; i < page + pages; i++)
            fill_pattern(&maps->memory, place_of(i) * PAGE, PAGE, DATA_SEED + i);
        ref_sync_address(card, GC_DMA_FOR_DEVICE, maps->start + page * PAGE, pages * PAGE);
        if (!transfer(maps, &maps->pair.h2c, page, pages, &down))
            return false;
        for (size_t i = page; i < page + pages; i++)
            gc_dma_fill(&maps->memory, place_of(i) * PAGE, 0, PAGE);
        if (!transfer(maps, &maps->pair.c2h, page, pages, &up))
            return false;
        ref_sync_address(card, GC_DMA_FOR_CPU, maps->start + page * PAGE, pages * PAGE);
        if (down.halted || up.halted)
            return app_check(maps->app, false, "the card halts on mapped pages: %s at 0x%" PRIx64,
                    ref_error_name(down.halted ? down.error_code : up.error_code),
                    down.halted ? down.error_address : up.error_address);
        for (size_t i = page; i < page + pages; i++) {
            fill_pattern(&maps->pair.sink, 0, PAGE, DATA_SEED + i);
            differing += !is_same(&maps->memory, place_of(i) * PAGE, &maps->pair.sink, 0, PAGE);
        }
    }
    return app_check(maps->app, differing == 0,
            "data go through all of them to the card and back: %zu pages differ", differing);
}

/*
 * Unmaps one page in the middle: a transfer that reaches it is refused there, one that ends before it is not.
 */
static bool check_hole(struct maps *maps)
{
    struct gc_error error;
    struct ref_completion completion;
    size_t hole = count / 2, before = hole < TRANSFER_PAGES / 2 ? hole : TRANSFER_PAGES / 2;
    uint64_t address = maps->start + hole * PAGE;
    if (!gc_dma_unmap(maps->app->card.device, address, PAGE, &error))
        return app_error(maps->app, &error);
    if (!transfer(maps, &maps->pair.h2c, hole - before, before, &completion))
        return false;
    app_check(maps->app, !completion.halted, "a page is unmapped: a transfer that ends before it arrives");
    if (!transfer(maps, &maps->pair.h2c, hole - before, before + 1, &completion))
        return false;
    if (!ref_channel_reset(&maps->pair.h2c, &error))
        return app_error(maps->app, &error);
    return app_check(maps->app,
            completion.halted &&
                    completion.error_code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS &&
                    completion.error_address == address,
            "  one that reaches it is refused at 0x%" PRIx64 " (expected 0x%" PRIx64 ")",
            completion.halted ? completion.error_address : 0, address);
}

static bool unmap_all(struct maps *maps)
{
    struct gc_error error;
    struct ref_completion completion;
    uint64_t started_ns = gc_now_ns();
    if (!gc_dma_unmap(maps->app->card.device, maps->start, count * PAGE, &error))
        return app_error(maps->app, &error);
    maps->mapped = 0;
    uint64_t each_ns = (gc_now_ns() - started_ns) / count;
    app_json_number(maps->app, "unmap_ns", each_ns);
    if (!transfer(maps, &maps->pair.h2c, 0, 1, &completion))
        return false;
    if (!ref_channel_reset(&maps->pair.h2c, &error))
        return app_error(maps->app, &error);
    return app_check(maps->app, completion.halted && completion.error_address == maps->start,
            "all are unmapped at once (%" PRIu64 " us each), and the first is refused", each_ns / 1000);
}

static void run(struct maps *maps)
{
    struct gc_device *device = maps->app->card.device;
    struct gc_error error;
    if (!gc_has_iommu(device)) {
        snprintf(error.message, sizeof(error.message),
                "%s is not behind an IOMMU that %s can map pages in: start the guest with --iommu and bind "
                "the "
                "card to vfio-pci",
                gc_name(device), gc_driver(device));
        app_give_up(maps->app, error.message);
        return;
    }
    if (!gc_physical_alloc(&maps->memory, count * PAGE, &error) ||
            !gc_iova_alloc(device, count * PAGE, &maps->start, &error)) {
        app_give_up(maps->app, error.message);
        return;
    }
    ref_select_processing(&maps->app->card, 0, REF_PROCESSING_MEMORY);
    if (map_all(maps) && check_data(maps) && check_hole(maps))
        unmap_all(maps);
    if (maps->mapped > 0)
        gc_dma_unmap(device, maps->start, maps->mapped * PAGE, NULL);
    gc_iova_free(device, maps->start);
}

static bool option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--count") != 0)
        return false;
    *takes_value = true;
    count = value ? strtoul(value, NULL, 10) : 0;
    return count >= 2 && count <= MOST;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-maps",
            "maps pages one by one in the IOMMU, 1000 or up to 60000, and moves data through them",
            "[--count N]", option};
    struct app app;
    struct maps maps = {.app = &app};
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app) && pair_open(&app, &maps.pair, 0, PAGE)) {
        run(&maps);
        pair_close(&maps.pair);
    }
    gc_physical_free(&maps.memory);
    return app_end(&app);
}
