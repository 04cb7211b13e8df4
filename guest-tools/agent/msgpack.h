/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small MessagePack codec for the agent. It writes into a buffer of fixed size, and never reads outside the
 * given bytes. It neither allocates nor recurses, so no frame can exhaust memory or the stack.
 *
 * Models: the MessagePack specification (msgpack/msgpack, spec.md).
 */
#ifndef GHOSTCARD_AGENT_MSGPACK_H
#define GHOSTCARD_AGENT_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends to `data`. Once something does not fit, `full` is set and nothing more is written. */
struct mp_writer {
    uint8_t *data;
    size_t size;
    size_t used;
    bool full;
};

void mp_put_map(struct mp_writer *writer, uint32_t pairs);
void mp_put_uint(struct mp_writer *writer, uint64_t value);
void mp_put_bool(struct mp_writer *writer, bool value);
void mp_put_str(struct mp_writer *writer, const char *text);
void mp_put_bin(struct mp_writer *writer, const void *bytes, uint32_t size);

enum mp_type { MP_NIL, MP_BOOL, MP_UINT, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_EXT, MP_ARRAY, MP_MAP };

/*
 * The head of one value. A 64-bit float with a whole number below 2^53 becomes an MP_UINT, because JavaScript
 * encodes numbers over 32 bits that way. Strings and binaries point into the frame. Arrays and maps give the
 * number of items or pairs that follow.
 */
struct mp_value {
    enum mp_type type;
    bool truth;
    uint64_t number; /* MP_UINT; MP_INT holds the two's complement of a negative number */
    const uint8_t *bytes;
    uint32_t size;  /* bytes of a string, binary or extension */
    uint32_t count; /* items of an array, pairs of a map */
};

struct mp_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/*
 * Reads the next head, and skips the bytes of a string, binary or extension. False: malformed or truncated.
 */
bool mp_next(struct mp_reader *reader, struct mp_value *value);

/* Skips one complete value, however deeply nested. False: malformed or truncated. */
bool mp_skip(struct mp_reader *reader);

#endif
