/* SPDX-License-Identifier: Apache-2.0 */
/* What the apps that move data share: a pair of channels with their buffers, data to move, and proof that it
 * arrived. */
#ifndef GHOSTCARD_TRANSFER_H
#define GHOSTCARD_TRANSFER_H

#include "app.h"

struct pair {
    unsigned index;
    struct ref_channel h2c, c2h;
    struct gc_dma_buffer source, sink;
};

/*
 * Both channels of pair `index` running, with buffers of `size` bytes or as many as the driver has for them
 * (app_dma_size). False: it has been reported.
 */
bool pair_open(struct app *app, struct pair *pair, unsigned index, size_t size);
void pair_close(struct pair *pair);

/* Bytes that differ from place to place and from seed to seed. */
void fill_pattern(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint64_t seed);

bool is_same(const struct gc_dma_buffer *one, size_t one_offset, const struct gc_dma_buffer *other,
        size_t other_offset, size_t size);
bool is_filled(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint8_t value);

/* ref_wait for a transfer of `size` bytes, with an engine that halts as an error; adds to bytes and time. */
bool wait_done(struct app *app, struct ref_channel *channel, size_t size, struct gc_error *error);

/*
 * CRC-32C (Castagnoli) of `size` bytes that follow others with the CRC `before` (0 at the start): the
 * reference that the card's is checked against. Models: RFC 3720, appendix B.4.
 */
uint32_t crc32c(uint32_t before, const void *bytes, size_t size);

#endif
