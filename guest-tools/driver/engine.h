/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a channel's engine according to its registers, for waits that have become long (wait.c).
 * Register reads cross the bus, so this is not for the data path.
 */
#ifndef GHOSTCARD_ENGINE_H
#define GHOSTCARD_ENGINE_H

#include "refcard.h"

struct engine {
    uint32_t consumer, status, control, ring_base;
};

/* Reads CONSUMER_INDEX first: this read flushes posted writes, and shows the state before their effects. */
bool ref_engine_read(const struct ref_channel *channel, struct engine *engine, struct gc_error *error);

/*
 * The error of a halted engine, and the descriptor that it stopped at. Uses register reads, but errors are
 * rare.
 */
bool ref_engine_error(
        const struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error);

/* Checks all channels, because one can hold up another. False: waiting is pointless. */
bool ref_engines_check(struct ref_card *card, struct gc_error *error);

/*
 * Checks in the register whether the engine has halted. The write-back block may report that early or late.
 */
bool ref_engine_check_halt(
        struct ref_channel *channel, struct ref_completion *completion, struct gc_error *error);

#endif
