/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For gc-hostile: the card as it is attacked, a seeded generator, and what DMA is aimed at.
 *
 * Unless it may go anywhere, DMA that writes hits the program's own memory or none: every address of a write
 * lies in the data area or beyond all RAM, whichever half of it the card sees first, and no length passes the
 * end of that area, whichever descriptor it is taken from. Reads may go anywhere.
 */
#ifndef GHOSTCARD_HOSTILE_H
#define GHOSTCARD_HOSTILE_H

#include "app.h"

enum { HOSTILE_BARS = 6, RING_BYTES = 256 << 10, DATA_BYTES = 512 << 10, WRITE_BYTES = DATA_BYTES / 2 };

/* No RAM that a program is given lies here in QEMU's machines: below is RAM, above are other devices. */
#define HOSTILE_BEYOND_RAM UINT64_C(0xc0000000)

/* Its bytes through sysfs; `mapped` is NULL for I/O ports, and for a BAR that cannot be mapped now. */
struct hostile_bar {
    volatile uint8_t *mapped;
    size_t size; /* 0: there is none */
    int fd;
};

struct hostile {
    uint64_t state; /* of the generator */
    bool anywhere;  /* DMA that writes may hit all RAM */
    uint64_t ram_end;
    struct gc_dma_buffer memory; /* a ring for what reads, one for what writes, and the data area */
    uint64_t address;            /* of the memory */
    struct hostile_bar bars[HOSTILE_BARS];
};

/* 0 to limit - 1. */
uint64_t hostile_below(struct hostile *h, uint64_t limit);
/* True once in `times`. */
bool hostile_once_in(struct hostile *h, unsigned times);
/* Numbers at and around the limits of words, and any. */
uint64_t hostile_number(struct hostile *h);

/* From now on an access that is refused reads all ones, or does nothing. */
void hostile_survive_refusals(void);

/* An access of exactly this size; nothing where there is no BAR, or it ends before. */
uint64_t hostile_read(struct hostile *h, unsigned bar, size_t offset, unsigned size);
void hostile_write(struct hostile *h, unsigned bar, size_t offset, unsigned size, uint64_t value);

/* Where DMA is to write or read, and how much: inside the data area, beyond all RAM, at the last address. */
uint64_t hostile_target(struct hostile *h, bool writes, uint32_t *length);

/* How a card is made to move data. */
struct hostile_engine {
    uint16_t vendor, device;
    /* Random descriptors, all registers that say where they are, and the doorbell. */
    void (*start)(struct hostile *h);
    /* Whatever interrupts without moving data; NULL: nothing. */
    void (*raise)(struct hostile *h);
};

/* NULL: a card that this program does not know. */
const struct hostile_engine *hostile_engine_of(uint16_t vendor, uint16_t device);

#endif
