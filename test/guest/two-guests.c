/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two-guests PCI_ADDRESS TEXT: fills a hugepage with the text over and over, lets the card master the bus,
 * and prints the page's address. Whenever a line comes, prints the first bytes of the page, up to the first
 * 0.
 */
#include "lib/ghostcard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most of the hugepages of a guest, so that two guests have some at the same address. */
enum { PAGE_BYTES = 2 << 20, COUNT = 24 };

int main(int argc, char **argv)
{
    struct gc_error error;
    struct gc_dma_buffer pages;
    char line[64], seen[64] = "";
    struct gc_device *device = argc == 3 ? gc_open(argv[1], &error) : NULL;
    if (!device || !gc_set_bus_master(device, true, &error) ||
            !gc_dma_alloc(device, &pages, COUNT * PAGE_BYTES, &error)) {
        fprintf(stderr, "%s\n", argc == 3 ? error.message : "usage: two-guests PCI_ADDRESS TEXT");
        return 1;
    }
    const size_t length = strlen(argv[2]);
    for (size_t i = 0; i < pages.size; i++)
        pages.bytes[i] = (uint8_t)argv[2][i % length];
    for (size_t at = 0; at < pages.size; at += PAGE_BYTES)
        printf("0x%" PRIx64 " ", gc_dma_address(&pages, at));
    printf("\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        uint64_t address = strtoull(line, NULL, 0);
        for (size_t at = 0; at < pages.size; at += PAGE_BYTES)
            if (gc_dma_address(&pages, at) == address)
                gc_dma_read(&pages, at, seen, sizeof(seen) - 1);
        printf("%s\n", seen);
        fflush(stdout);
    }
    gc_dma_free(&pages);
    gc_close(device);
    return 0;
}
