/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of vfio-user that the client and the floor use: a header and register accesses, little-endian.
 * Source: QEMU docs/interop/vfio-user.rst, sections "Header" and "Read and Write Operations".
 */
#ifndef GHOSTCARD_BENCH_WIRE_H
#define GHOSTCARD_BENCH_WIRE_H

#include <stdint.h>

enum { VERSION = 1, REGION_READ = 9, REGION_WRITE = 10 };
enum { FLAG_REPLY = 0x1, FLAG_NO_REPLY = 0x10, FLAG_ERROR = 0x20 };

struct header {
    uint16_t id;
    uint16_t command;
    uint32_t size; /* of the whole message */
    uint32_t flags;
    uint32_t error;
};

/* REGION_READ and REGION_WRITE; a read's request and a write's reply have no data. */
struct access {
    struct header header;
    uint64_t offset;
    uint32_t region;
    uint32_t count;
    uint32_t data;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 16, "a header has 16 bytes");
_Static_assert(sizeof(struct access) == 36, "a 32-bit access has 36 bytes with its data");
enum { BYTES_WITHOUT_DATA = sizeof(struct access) - sizeof(uint32_t) };

#endif
