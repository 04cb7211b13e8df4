/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the apps that move data: a pair of channels with their buffers, test data, and comparison. */
#ifndef GHOSTCARD_TRANSFER_H
#define GHOSTCARD_TRANSFER_H

#include "app.h"

struct pair {
    unsigned index;
    struct ref_channel h2c, c2h;
    struct gc_dma_buffer source, sink;
};

/*
 * Opens both channels of pair `index`, with buffers of `size` bytes or as many as the driver has
 * (app_dma_size). False: the error was reported.
 */
bool pair_open(struct app *app, struct pair *pair, unsigned index, size_t size);
void pair_close(struct pair *pair);

/* Bytes that depend on offset and seed. */
void fill_pattern(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint64_t seed);

bool is_same(const struct gc_dma_buffer *one, size_t one_offset, const struct gc_dma_buffer *other,
        size_t other_offset, size_t size);
bool is_filled(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint8_t value);

/*
 * ref_wait for a transfer of `size` bytes. A halted engine is an error. Adds to the totals of bytes and time.
 */
bool wait_done(struct app *app, struct ref_channel *channel, size_t size, struct gc_error *error);

/*
 * CRC-32C (Castagnoli) of `size` bytes, continued from the CRC `before` of earlier bytes (0 at the start).
 * The reference for the card's CRC. Models: RFC 3720, appendix B.4.
 */
uint32_t crc32c(uint32_t before, const void *bytes, size_t size);

#endif
