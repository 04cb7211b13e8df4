/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the driver on a faulty card: data goes round after round to the card and back (LOOPBACK), and to its
 * checksum (CRC32C), with interrupts, and is compared. Events that the driver notices are printed as they
 * occur. At the end each kind of event is printed as survived, or the unconfirmed data is reported. A round
 * that fails is repeated, after as strong a reset of the card as necessary.
 *
 * Exit code 0: all data arrived as it was sent. A fault without an effect on data and interrupts cannot be
 * noticed.
 */
#include "transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The LOOPBACK pair and the CRC32C pair. */
enum { LOOP, DIGEST, PAIRS };

enum { SIZE = 65536, GUARD_BYTES = 64, GUARD_VALUE = 0xee, CRC_BYTES = 4 };

/* Few enough that a run goes around the ring several times, and finds its own old descriptors there. */
enum { RING_SIZE = 4 };

/* One more than the number of resets that the driver has. */
enum { ATTEMPTS = 4 };

/* How long after their completion to wait for data. */
enum { LATE_DATA_MS = 500 };

static int rounds = 10, watch_ms = 100, timeout_ms = 2000;

struct job {
    struct app *app;
    struct gc_dma_buffer source, sink, digest;
    struct ref_channel h2c[PAIRS], c2h[PAIRS];
    uint32_t expected; /* CRC-32C of the round's data */
};

static bool open_job(struct job *job, struct gc_error *error)
{
    struct ref_card *card = &job->app->card;
    if (!gc_dma_alloc(card->device, &job->source, SIZE, error) ||
            !gc_dma_alloc(card->device, &job->sink, SIZE + 2 * GUARD_BYTES, error) ||
            !gc_dma_alloc(card->device, &job->digest, CRC_BYTES, error))
        return false;
    for (unsigned pair = 0; pair < PAIRS; pair++)
        if (!ref_channel_open(&job->h2c[pair], card, REF_H2C, pair, RING_SIZE, error) ||
                !ref_channel_open(&job->c2h[pair], card, REF_C2H, pair, RING_SIZE, error))
            return false;
    ref_select_processing(card, LOOP, REF_PROCESSING_LOOPBACK);
    ref_select_processing(card, DIGEST, REF_PROCESSING_CRC32C);
    return true;
}

static void close_job(struct job *job)
{
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        if (job->h2c[pair].ring)
            ref_channel_close(&job->h2c[pair]);
        if (job->c2h[pair].ring)
            ref_channel_close(&job->c2h[pair]);
    }
    gc_dma_free(&job->source);
    gc_dma_free(&job->sink);
    gc_dma_free(&job->digest);
}

static void prepare(struct job *job, int round)
{
    uint8_t bytes[4096];
    fill_pattern(&job->source, 0, SIZE, (uint64_t)round + 1);
    gc_dma_fill(&job->sink, 0, GUARD_VALUE, SIZE + 2 * GUARD_BYTES);
    gc_dma_fill(&job->digest, 0, 0, CRC_BYTES);
    job->expected = 0;
    for (size_t at = 0; at < SIZE; at += sizeof(bytes)) {
        gc_dma_read(&job->source, at, bytes, sizeof(bytes));
        job->expected = crc32c(job->expected, bytes, sizeof(bytes));
    }
}

/*
 * Waits until everything handed over is complete. An engine that has misread a descriptor is made to fetch it
 * again.
 */
static bool finish(struct ref_channel *channel, struct gc_error *error)
{
    enum { RETRIES = 3 };
    struct ref_completion completion;
    int retries = 0;
    do {
        if (!ref_wait(channel, timeout_ms, &completion, error))
            return false;
    } while (completion.halted && retries++ < RETRIES && ref_retry_misread(channel, &completion));
    return !completion.halted || gc_fail(error, "%s: halted on descriptor %u with %s, address 0x%" PRIx64,
                                         ref_channel_name(channel), completion.error_index,
                                         ref_error_name(completion.error_code), completion.error_address);
}

static bool move(struct job *job, struct gc_error *error)
{
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        struct ref_channel *c2h = &job->c2h[pair], *h2c = &job->h2c[pair];
        bool given = pair == LOOP ? ref_submit(c2h, &job->sink, GUARD_BYTES, SIZE, 0, error)
                                  : ref_submit(c2h, &job->digest, 0, CRC_BYTES, 0, error);
        if (!given || !ref_submit(h2c, &job->source, 0, SIZE, 0, error))
            return false;
    }
    for (unsigned pair = 0; pair < PAIRS; pair++)
        if (!finish(&job->h2c[pair], error) || !finish(&job->c2h[pair], error))
            return false;
    for (unsigned pair = 0; pair < PAIRS; pair++)
        if (!ref_channel_quiesce(&job->h2c[pair], error) || !ref_channel_quiesce(&job->c2h[pair], error))
            return false;
    return true;
}

static bool is_right(const struct job *job)
{
    uint32_t digest;
    gc_dma_sync_for_cpu(&job->sink, 0, SIZE + 2 * GUARD_BYTES);
    gc_dma_sync_for_cpu(&job->digest, 0, CRC_BYTES);
    gc_dma_read(&job->digest, 0, &digest, sizeof(digest));
    return digest == job->expected && is_same(&job->source, 0, &job->sink, GUARD_BYTES, SIZE) &&
           is_filled(&job->sink, 0, GUARD_BYTES, GUARD_VALUE) &&
           is_filled(&job->sink, GUARD_BYTES + SIZE, GUARD_BYTES, GUARD_VALUE);
}

/* The ring shows that everything has arrived. Only the data show whether it has. */
static bool compare(struct job *job, int round, struct gc_error *error)
{
    if (is_right(job))
        return true;
    struct ref_card *card = &job->app->card;
    uint64_t completed_ns = gc_now_ns(), deadline_ns = completed_ns + LATE_DATA_MS * UINT64_C(1000000);
    while (gc_now_ns() < deadline_ns) {
        uint32_t id;
        if (!ref_read(card, GHOSTCARD_REF_ID, &id, error)) /* the answer flushes posted writes */
            return false;
        if (is_right(job)) {
            ref_note(card, REF_DATA_LATE, "round %d: the data arrived after their completion", round);
            return true;
        }
    }
    ref_note(card, REF_DATA_WRONG,
            "round %d: completed without an error, but the data or their checksum differ", round);
    return gc_fail(error, "round %d: the received data differ from the sent data", round);
}

/* Runs one round, and repeats it after a failure. False: it cannot be completed. */
static bool survive_round(struct job *job, int round, struct gc_error *error)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 0 && !ref_recover(&job->app->card, error))
            return false;
        prepare(job, round);
        if (move(job, error) && compare(job, round, error))
            return true;
        app_say(job->app, "round %d: %s\n", round, error->message);
    }
    return false;
}

/* Interrupts that the driver counted as lost may still arrive. */
static bool collect(struct job *job, struct gc_error *error)
{
    const struct timespec pause = {watch_ms / 1000, watch_ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
    for (unsigned pair = 0; pair < PAIRS; pair++)
        if (!ref_collect_interrupts(&job->h2c[pair], timeout_ms, error) ||
                !ref_collect_interrupts(&job->c2h[pair], timeout_ms, error))
            return false;
    return true;
}

static void say_outcome(struct app *app, int done)
{
    const bool survived = app->failed == 0;
    const char *outcome = survived ? "nothing-noticed" : "reported";
    for (enum ref_event event = 0; event < REF_EVENT_COUNT; event++) {
        if (app->noticed[event] == 0)
            continue;
        app_say(app, "%s %s (%" PRIu64 "): the driver %s\n", survived ? "survived" : "reported",
                ref_event_name(event), app->noticed[event], ref_event_remedy(event));
        if (survived)
            outcome = "survived";
    }
    if (done < rounds)
        app_say(app, "reported: %d of %d rounds are confirmed, the data of the others are lost\n", done,
                rounds);
    else if (strcmp(outcome, "nothing-noticed") == 0)
        app_say(app,
                "nothing noticed: all bytes are correct, and no completion had to wait for its interrupt. A "
                "fault that leaves both unchanged, such as a write done twice, cannot be noticed\n");
    app_json_text(app, "outcome", outcome);
    app_json_number(app, "confirmed", (uint64_t)done);
    app_json_number(app, "rounds", (uint64_t)rounds);
}

static void run(struct app *app)
{
    struct gc_error error;
    struct job job = {.app = app};
    int done = 0;
    if (!open_job(&job, &error)) {
        app_error(app, &error);
    } else {
        while (done < rounds && survive_round(&job, done, &error)) {
            done++;
            app->bytes += 2 * SIZE;
        }
        if (done < rounds || !collect(&job, &error))
            app_error(app, &error);
        else
            app_check(app, true, "%d rounds of %d bytes went to the card and back unchanged", rounds, SIZE);
    }
    close_job(&job);
    say_outcome(app, done);
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    static const struct {
        const char *name;
        int *number;
    } NUMBERS[] = {{"--rounds", &rounds}, {"--watch", &watch_ms}, {"--timeout", &timeout_ms}};
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        if (strcmp(name, NUMBERS[i].name) != 0)
            continue;
        *takes_value = true;
        *NUMBERS[i].number = value ? atoi(value) : *NUMBERS[i].number;
        return *NUMBERS[i].number > 0;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-survive",
            "moves data through a faulty card, and reports what the driver had to handle",
            "[--rounds N] [--watch MS] [--timeout MS]", take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    app.copes = true;
    app.card.watch_ms = watch_ms;
    if (app_open_card(&app))
        run(&app);
    return app_end(&app);
}
