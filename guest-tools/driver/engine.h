/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's engine as its registers show it, for when memory says nothing. Register reads cross the bus, so
 * this is for waits that have become long (wait.c), not for the data path.
 */
#ifndef GHOSTCARD_ENGINE_H
#define GHOSTCARD_ENGINE_H

#include "refcard.h"

struct engine {
    uint32_t consumer, status, control, ring_base;
};

/* CONSUMER_INDEX first: this read is what posted writes arrive before, and shows what was without them. */
bool ref_engine_read(const struct ref_channel *channel, struct engine *engine, struct gc_error *error);

/* What a halted engine says about the descriptor that it stopped at; register reads, but errors are rare. */
bool ref_engine_error(
        const struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error);

/* All channels: the one that is waited for may be held up by another. False: there is no use in waiting. */
bool ref_engines_check(struct ref_card *card, struct gc_error *error);

/* Has the engine halted? The register tells; what the write-back block says of it may be early, or late. */
bool ref_engine_check_halt(
        struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error);

#endif
