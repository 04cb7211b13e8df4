/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that trusts what the reference card promises, 64 address bits, for masks.test.ts. It sends and
 * receives a buffer above 4 GiB; memory of its own lies at the same address without the upper bits. Prints
 * the addresses, and what has become of all memory.
 */
#include "driver/refcard.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 65536, MAX_PAGES = 2048, HUGEPAGE_BYTES = 2 << 20, WAIT_MS = 10000, SENT = 0x11, OTHER = 0x22 };

static const uint64_t BOUNDARY = UINT64_C(1) << 32;

static struct ref_card card;
static struct gc_dma_buffer pages[MAX_PAGES];
static struct gc_error error;

static void end(void)
{
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

/* Allocates hugepages until one is 4 GiB above another; returns that, and the other in *below. */
static struct gc_dma_buffer *take_pair(struct gc_dma_buffer **below)
{
    gc_dma_set_mask(card.device, 64);
    for (unsigned count = 0; count < MAX_PAGES; count++) {
        struct gc_dma_buffer *page = &pages[count];
        if (!gc_dma_alloc(card.device, page, HUGEPAGE_BYTES, &error))
            end();
        for (unsigned i = 0; i < count; i++) {
            bool is_above = gc_dma_address(&pages[i], 0) + BOUNDARY == gc_dma_address(page, 0);
            if (is_above || gc_dma_address(page, 0) + BOUNDARY == gc_dma_address(&pages[i], 0)) {
                *below = is_above ? &pages[i] : page;
                return is_above ? page : &pages[i];
            }
        }
    }
    gc_fail(&error, "no two of %u hugepages are 4 GiB apart", MAX_PAGES);
    end();
    return NULL;
}

static void move(struct ref_channel *channel, const struct gc_dma_buffer *buffer)
{
    struct ref_completion completion;
    if (!ref_submit(channel, buffer, 0, SIZE, 0, &error) || !ref_wait(channel, WAIT_MS, &completion, &error))
        end();
    if (completion.halted)
        printf("halted: %s\n", ref_error_name(completion.error_code));
}

int main(int argc, char **argv)
{
    static struct ref_channel h2c, c2h;
    struct gc_dma_buffer *buffer, *below = NULL;
    card.address_bits = 32; /* its rings are where they work */
    if (argc != 2 || !ref_open(&card, argv[1], NULL, &error) ||
            !ref_channel_open(&h2c, &card, REF_H2C, 0, REF_DEFAULT_RING_SIZE, &error) ||
            !ref_channel_open(&c2h, &card, REF_C2H, 0, REF_DEFAULT_RING_SIZE, &error))
        end();
    ref_select_processing(&card, 0, REF_PROCESSING_MEMORY);
    buffer = take_pair(&below);
    printf("%u address bits, buffer %#llx, ring %#llx\n", ref_address_bits(&card),
            (unsigned long long)gc_dma_address(buffer, 0), (unsigned long long)h2c.ring_address);

    gc_dma_fill(buffer, 0, SENT, SIZE);
    gc_dma_fill(below, 0, OTHER, SIZE);
    move(&h2c, buffer);
    printf("sent %#x, the card has %#x\n", SENT, gc_read8(&card.memory, SIZE - 1));

    gc_dma_fill(below, 0, 0, SIZE);
    move(&c2h, buffer);
    printf("received %#x, and 4 GiB below %#x\n", buffer->bytes[SIZE - 1], below->bytes[SIZE - 1]);
    ref_channel_close(&h2c);
    ref_channel_close(&c2h);
    ref_close(&card);
    return 0;
}
