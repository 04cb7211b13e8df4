/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the apps that move data; see transfer.h. */
#include "transfer.h"

#include <string.h>

bool pair_open(struct app *app, struct pair *pair, unsigned index, size_t size)
{
    struct gc_error error;
    *pair = (struct pair){.index = index};
    size = app_dma_size(app, size, 2);
    if (gc_dma_alloc(app->card.device, &pair->source, size, &error) &&
            gc_dma_alloc(app->card.device, &pair->sink, size, &error) &&
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

/* Buffers are accessed only through the library, in pieces of this size. */
enum { PIECE_BYTES = 4096 };

static size_t piece_of(size_t left)
{
    return left < PIECE_BYTES ? left : PIECE_BYTES;
}

void fill_pattern(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint64_t seed)
{
    uint64_t words[PIECE_BYTES / sizeof(uint64_t)];
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1; /* never 0, where the generator would stay */
    for (size_t piece; size > 0; offset += piece, size -= piece) {
        piece = piece_of(size);
        for (size_t i = 0; i < (piece + 7) / 8; i++) {
            state ^= state << 13; /* xorshift: Marsaglia, Journal of Statistical Software 8(14), 2003 */
            state ^= state >> 7;
            state ^= state << 17;
            words[i] = state;
        }
        gc_dma_write(buffer, offset, words, piece);
    }
}

bool is_same(const struct gc_dma_buffer *one, size_t one_offset, const struct gc_dma_buffer *other,
        size_t other_offset, size_t size)
{
    uint8_t left[PIECE_BYTES], right[PIECE_BYTES];
    for (size_t piece, at = 0; at < size; at += piece) {
        piece = piece_of(size - at);
        gc_dma_read(one, one_offset + at, left, piece);
        gc_dma_read(other, other_offset + at, right, piece);
        if (memcmp(left, right, piece) != 0)
            return false;
    }
    return true;
}

bool is_filled(const struct gc_dma_buffer *buffer, size_t offset, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++) {
        if (buffer->bytes[offset + i] != value)
            return false;
    }
    return true;
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

/* The generator polynomial 0x1edc6f41 with reversed bits: the CRC is sent least significant bit first. */
static const uint32_t CRC32C_POLYNOMIAL = 0x82f63b78;

static const uint32_t *crc32c_table(void)
{
    static uint32_t entries[256];
    if (entries[1] != 0)
        return entries;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++)
            remainder = remainder & 1 ? remainder >> 1 ^ CRC32C_POLYNOMIAL : remainder >> 1;
        entries[byte] = remainder;
    }
    return entries;
}

uint32_t crc32c(uint32_t before, const void *bytes, size_t size)
{
    const uint32_t *remainders = crc32c_table();
    const uint8_t *at = bytes;
    uint32_t crc = ~before;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ remainders[(crc ^ at[i]) & 0xff];
    return ~crc;
}
