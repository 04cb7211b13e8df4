/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of the reference card with one mistake, for memory-layout.test.ts. `lucky-driver DEVICE MISTAKE`:
 *   none         sends its buffer
 *   contiguous   takes two hugepages for one piece of memory
 *   pages        takes two pages of a program for one piece of memory
 *   truncated    gives the card 32 bits of the address
 *   freed        sends its buffer, gives it back, and sends it again
 *   freed-pages  gives pages of a program back, and sends them
 *   process      gives the card memory of another process
 *   file         gives the card a page of a file that it has unmapped
 *   unset        forgets to give the card an address
 * Prints where its memory lies, and what the card has got.
 */
#define _GNU_SOURCE
#include "driver/refcard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HUGEPAGE_BYTES = 2 << 20,
    PAGE_BYTES = 4096,
    SIZE = 4096,
    WAIT_MS = 10000,
    USER_PAGES = 1024,
    SENT = 0x11
};

static struct ref_card card;
static struct gc_error error;

static void end(void)
{
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

static uint64_t address_of(const volatile void *location)
{
    uint64_t address;
    if (!gc_physical_address(location, &address, &error))
        end();
    return address;
}

static volatile uint8_t *user_pages(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
    if (bytes == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return bytes;
}

/* Of a page of a child, which waits. */
static uint64_t address_in(pid_t *child)
{
    uint64_t address;
    int ends[2];
    if (pipe(ends) != 0)
        exit(1);
    *child = fork();
    if (*child == 0) {
        volatile uint8_t *page = user_pages(PAGE_BYTES);
        page[0] = SENT;
        address = address_of(page);
        if (write(ends[1], &address, sizeof(address)) != sizeof(address))
            exit(1);
        pause();
    }
    if (read(ends[0], &address, sizeof(address)) != sizeof(address))
        exit(1);
    return address;
}

/* Of a page that the file keeps in memory, and nobody has mapped. */
static uint64_t address_in_file(void)
{
    int fd = open("/tmp/lucky-driver.data", O_RDWR | O_CREAT, 0600);
    volatile uint8_t *page;
    uint64_t address;
    if (fd < 0 || ftruncate(fd, PAGE_BYTES) != 0)
        exit(1);
    page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page[0] = SENT;
    address = address_of(page);
    munmap((void *)page, PAGE_BYTES);
    return address;
}

static void describe_user_pages(void)
{
    volatile uint8_t *bytes = user_pages(USER_PAGES * PAGE_BYTES);
    unsigned adjacent = 0;
    uint64_t lowest = UINT64_MAX, before = 0;
    for (unsigned i = 0; i < USER_PAGES; i++) {
        uint64_t address = address_of(bytes + i * PAGE_BYTES);
        if (i > 0 && (address == before + PAGE_BYTES || address == before - PAGE_BYTES))
            adjacent++;
        if (address < lowest)
            lowest = address;
        before = address;
    }
    printf("user pages: %u of %u follow their neighbour, lowest %#llx\n", adjacent, USER_PAGES,
            (unsigned long long)lowest);
}

static void move(struct ref_channel *channel, const struct gc_dma_buffer *buffer, size_t offset)
{
    struct ref_completion completion;
    if (!ref_submit(channel, buffer, offset, SIZE, 0, &error) ||
            !ref_wait(channel, WAIT_MS, &completion, &error))
        end();
    if (completion.halted)
        printf("halted: %s\n", ref_error_name(completion.error_code));
    printf("the card has got %#x and %#x\n", gc_read8(&card.memory, 0), gc_read8(&card.memory, SIZE - 1));
}

/* Takes two pieces for one that begins with the lower of them, and moves its middle. */
static void move_both(
        struct ref_channel *channel, volatile uint8_t *one, volatile uint8_t *other, size_t size)
{
    bool in_order = address_of(one) < address_of(other);
    volatile uint8_t *low = in_order ? one : other, *high = in_order ? other : one;
    struct gc_dma_segment piece = {address_of(low), 2 * size};
    struct gc_dma_buffer both = {card.device, low, 2 * size, 1, &piece};
    memset((void *)(low + size - SIZE / 2), SENT, SIZE / 2);
    memset((void *)high, SENT, SIZE / 2);
    move(channel, &both, size - SIZE / 2);
}

int main(int argc, char **argv)
{
    static struct ref_channel h2c;
    struct gc_dma_buffer buffer, copy;
    struct gc_dma_segment piece;
    volatile uint8_t *pages;
    const char *mistake = argv[argc - 1];
    if (argc != 3 || !ref_open(&card, argv[1], NULL, &error) ||
            !ref_channel_open(&h2c, &card, REF_H2C, 0, REF_DEFAULT_RING_SIZE, &error))
        end();
    ref_select_processing(&card, 0, REF_PROCESSING_MEMORY);
    describe_user_pages();
    if (!gc_dma_alloc(card.device, &buffer, 2 * HUGEPAGE_BYTES, &error))
        end();
    gc_dma_fill(&buffer, 0, SENT, SIZE);
    piece = (struct gc_dma_segment){buffer.segments[0].address, buffer.size};
    copy = (struct gc_dma_buffer){card.device, buffer.bytes, buffer.size, 1, &piece};
    printf("buffer %#llx, ring %#llx\n", (unsigned long long)piece.address,
            (unsigned long long)h2c.ring_address);
    pages = user_pages(2 * PAGE_BYTES);
    if (strcmp(mistake, "contiguous") == 0) {
        move_both(&h2c, buffer.bytes, buffer.bytes + HUGEPAGE_BYTES, HUGEPAGE_BYTES);
    } else if (strcmp(mistake, "pages") == 0) {
        move_both(&h2c, pages, pages + PAGE_BYTES, PAGE_BYTES);
    } else if (strcmp(mistake, "truncated") == 0) {
        piece.address &= UINT32_MAX;
        move(&h2c, &copy, 0);
    } else if (strcmp(mistake, "freed") == 0) {
        move(&h2c, &buffer, 0);
        gc_dma_free(&buffer);
        move(&h2c, &copy, 0);
    } else if (strcmp(mistake, "freed-pages") == 0) {
        piece.address = address_of(pages);
        munmap((void *)pages, 2 * PAGE_BYTES);
        move(&h2c, &copy, 0);
    } else if (strcmp(mistake, "process") == 0) {
        pid_t child;
        move(&h2c, &buffer, 0);
        piece.address = address_in(&child);
        move(&h2c, &copy, 0);
        kill(child, SIGKILL);
    } else if (strcmp(mistake, "file") == 0) {
        piece.address = address_in_file();
        move(&h2c, &copy, 0);
    } else if (strcmp(mistake, "unset") == 0) {
        piece.address = 0;
        move(&h2c, &copy, 0);
    } else {
        move(&h2c, &buffer, 0);
    }
    ref_channel_close(&h2c);
    ref_close(&card);
    return 0;
}
