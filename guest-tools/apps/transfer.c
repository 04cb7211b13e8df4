/* SPDX-License-Identifier: Apache-2.0 */
/* What the apps that move data share; see transfer.h. */
#include "transfer.h"

#include <string.h>

bool pair_open(struct app *app, struct pair *pair, unsigned index, size_t size)
{
    struct gc_error error;
    *pair = (struct pair){.index = index};
    if (gc_dma_alloc(&pair->source, size, &error) && gc_dma_alloc(&pair->sink, size, &error) &&
            ref_channel_open(&pair->h2c, &app->card, REF_H2C, index, REF_DEFAULT_RING_SIZE, &error) &&
            ref_channel_open(&pair->c2h, &app->card, REF_C2H, index, REF_DEFAULT_RING_SIZE, &error))
        return true;
    pair_close(pair);
    return app_give_up(app, error.message);
}

void pair_close(struct pair *pair)
{
    if (pair->h2c.ring)
        ref_channel_close(&pair->h2c);
    if (pair->c2h.ring)
        ref_channel_close(&pair->c2h);
    gc_dma_free(&pair->source);
    gc_dma_free(&pair->sink);
    *pair = (struct pair){0};
}

void fill_pattern(uint8_t *bytes, size_t size, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1; /* never 0, where the generator would stay */
    for (size_t at = 0; at < size; at += sizeof(state)) {
        state ^= state << 13; /* xorshift: Marsaglia, Journal of Statistical Software 8(14), 2003 */
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(bytes + at, &state, size - at < sizeof(state) ? size - at : sizeof(state));
    }
}

bool wait_done(struct app *app, struct ref_channel *channel, size_t size, struct gc_error *error)
{
    struct ref_completion completion;
    if (!ref_wait(channel, APP_WAIT_MS, &completion, error))
        return false;
    if (completion.halted)
        return gc_fail(error, "the card halted on descriptor %u with %s, address 0x%llx",
                completion.error_index, ref_error_name(completion.error_code),
                (unsigned long long)completion.error_address);
    app->bytes += size;
    return true;
}
