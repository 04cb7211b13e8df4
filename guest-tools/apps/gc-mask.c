/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA masks: a card that drives 32 address bits cannot reach memory above 4 GiB, and must report that instead
 * of accessing other memory. Allocates hugepages until one is below 4 GiB and one above, which needs a guest
 * with memory there. If the kernel owns the memory (uio_dmem_genirq), it is allocated within the mask, and
 * that is checked instead. See docs/coherence.md.
 */
#include "transfer.h"

#include <inttypes.h>

enum { SIZE = 65536, MAX_PAGES = 2048, HUGEPAGE_BYTES = 2 << 20, FILL = 0xf1 };

/* Address of the data in card memory. */
static const uint64_t CARD_ADDRESS = 4096;
static const uint64_t BOUNDARY = UINT64_C(1) << 32;

struct job {
    struct app *app;
    struct ref_channel h2c, c2h;
    unsigned address_bits;
    /* Kept until the end, so that each one is different. */
    struct gc_dma_buffer pages[MAX_PAGES];
    unsigned count;
    struct gc_dma_buffer *low, *high;
};

static bool is_reachable(const struct job *job, const struct gc_dma_buffer *buffer)
{
    return ref_can_reach(&job->app->card, gc_dma_address(buffer, 0), 2 * SIZE);
}

/* Allocates pages one by one, whatever the card reaches. */
static bool take_pages(struct job *job)
{
    struct gc_error error = {"no error"};
    gc_dma_set_mask(job->app->card.device, 64);
    while (!(job->low && job->high) && job->count < MAX_PAGES) {
        struct gc_dma_buffer *page = &job->pages[job->count];
        if (!gc_dma_alloc(job->app->card.device, page, HUGEPAGE_BYTES, &error))
            break;
        job->count++;
        if (gc_dma_address(page, 0) >= BOUNDARY && !job->high)
            job->high = page;
        else if (gc_dma_address(page, 0) + page->size <= BOUNDARY && !job->low)
            job->low = page;
    }
    if (job->low && job->high)
        return true;
    app_say(job->app, "after %u hugepages: %s\n", job->count, error.message);
    return app_give_up(job->app,
            "found no hugepages both below and above 4 GiB: the guest needs memory above, "
            "and enough hugepages that some are below, as with --memory 4352 --hugepages "
            "1150");
}

/* Sends data of this seed to the card from the first half of the buffer. */
static bool send(struct job *job, const struct gc_dma_buffer *buffer, uint64_t seed, struct gc_error *error)
{
    fill_pattern(buffer, 0, SIZE, seed);
    return ref_submit(&job->h2c, buffer, 0, SIZE, CARD_ADDRESS, error) &&
           wait_done(job->app, &job->h2c, SIZE, error);
}

/* Reads the data back to the second half, which must equal the first. */
static bool comes_back(struct job *job, const struct gc_dma_buffer *buffer, struct gc_error *error)
{
    gc_dma_fill(buffer, SIZE, FILL, SIZE);
    if (!ref_submit(&job->c2h, buffer, SIZE, SIZE, CARD_ADDRESS, error) ||
            !wait_done(job->app, &job->c2h, SIZE, error))
        return false;
    gc_dma_sync_for_cpu(buffer, SIZE, SIZE);
    return is_same(buffer, 0, buffer, SIZE, SIZE) ||
           gc_fail(error, "the data read back at 0x%" PRIx64 " differ", gc_dma_address(buffer, 0));
}

static bool check_works(struct job *job, const struct gc_dma_buffer *buffer, const char *where)
{
    struct gc_error error;
    if (!send(job, buffer, 7, &error) || !comes_back(job, buffer, &error))
        return app_error(job->app, &error);
    return app_check(job->app, true, "%s, at 0x%" PRIx64 ": %d bytes to the card and back, %u address bits",
            where, gc_dma_address(buffer, 0), SIZE, job->address_bits);
}

/* The card must halt and report the full address. */
static bool check_refused(struct job *job, struct ref_channel *channel, const struct gc_dma_buffer *buffer)
{
    struct gc_error error;
    struct ref_completion completion;
    if (!ref_submit(channel, buffer, 0, SIZE, CARD_ADDRESS, &error) ||
            !ref_wait(channel, APP_WAIT_MS, &completion, &error))
        return app_error(job->app, &error);
    if (!ref_channel_reset(channel, &error))
        return app_error(job->app, &error);
    return app_check(job->app,
            completion.halted &&
                    completion.error_code == GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_BAD_HOST_ADDRESS &&
                    completion.error_address == gc_dma_address(buffer, 0),
            "%s, above 4 GiB, at 0x%" PRIx64 ": the card reports %s, address 0x%" PRIx64,
            channel->direction == REF_H2C ? "H2C" : "C2H", gc_dma_address(buffer, 0),
            completion.halted ? ref_error_name(completion.error_code) : "nothing", completion.error_address);
}

/* Neither the bytes at the address nor those at its lower bits may have changed. */
static void check_out_of_reach(struct job *job)
{
    struct gc_error error;
    struct app *app = job->app;
    if (!send(job, job->low, 8, &error)) {
        app_error(app, &error);
        return;
    }
    fill_pattern(job->high, 0, SIZE, 9);
    if (!check_refused(job, &job->h2c, job->high))
        return;
    bool kept = comes_back(job, job->low, &error);
    app_check(app, kept, "  and card memory is unchanged%s%s", kept ? "" : ": ", kept ? "" : error.message);
    gc_dma_fill(job->high, 0, FILL, SIZE);
    if (!check_refused(job, &job->c2h, job->high))
        return;
    gc_dma_sync_for_cpu(job->high, 0, SIZE);
    app_check(app, is_filled(job->high, 0, SIZE, FILL), "  and so is the buffer");
    check_works(job, job->low, "afterwards, below 4 GiB");
}

static void check_hugepages(struct job *job)
{
    if (!take_pages(job))
        return;
    app_say(job->app, "%u hugepages allocated\n", job->count);
    app_json_number(job->app, "low", gc_dma_address(job->low, 0));
    app_json_number(job->app, "high", gc_dma_address(job->high, 0));
    if (!check_works(job, job->low, "below 4 GiB"))
        return;
    if (is_reachable(job, job->high))
        check_works(job, job->high, "above 4 GiB");
    else
        check_out_of_reach(job);
}

/* The kernel has allocated the memory within the mask. */
static void check_kernel_memory(struct job *job)
{
    struct gc_error error;
    struct gc_dma_buffer *buffer = &job->pages[0];
    app_not_possible(job->app, "buffers above 4 GiB: the kernel allocates them within the mask");
    if (!gc_dma_alloc(job->app->card.device, buffer, 2 * SIZE, &error)) {
        app_give_up(job->app, error.message);
        return;
    }
    job->count = 1;
    app_json_number(job->app, "kernel", gc_dma_address(buffer, 0));
    if (app_check(job->app, is_reachable(job, buffer),
                "the kernel's memory at 0x%" PRIx64 " is within %u bits", gc_dma_address(buffer, 0),
                job->address_bits))
        check_works(job, buffer, "the kernel's memory");
}

static bool open_channels(struct job *job)
{
    struct gc_error error;
    struct ref_card *card = &job->app->card;
    if (ref_channel_open(&job->h2c, card, REF_H2C, 0, REF_DEFAULT_RING_SIZE, &error) &&
            ref_channel_open(&job->c2h, card, REF_C2H, 0, REF_DEFAULT_RING_SIZE, &error))
        return true;
    return app_give_up(job->app, error.message);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-mask", "moves data from and to memory below and above 4 GiB", "", NULL};
    static struct job job;
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    job.app = &app;
    if (app_open_card(&app) && open_channels(&job)) {
        job.address_bits = ref_address_bits(&app.card);
        app_json_number(&app, "address_bits", job.address_bits);
        ref_select_processing(&app.card, 0, REF_PROCESSING_MEMORY);
        if (gc_dma_limit(app.card.device) == SIZE_MAX)
            check_hugepages(&job);
        else
            check_kernel_memory(&job);
        ref_channel_close(&job.h2c);
        ref_channel_close(&job.c2h);
    }
    while (job.count > 0)
        gc_dma_free(&job.pages[--job.count]);
    return app_end(&app);
}
