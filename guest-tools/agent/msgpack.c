/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes MessagePack heads; see msgpack.h. The names of formats are those of the specification's
 * format table.
 */
#include "msgpack.h"

#include <string.h>

enum format {
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xa0,
    NIL = 0xc0,
    NEVER_USED = 0xc1,
    FALSE = 0xc2,
    TRUE = 0xc3,
    BIN8 = 0xc4,
    EXT8 = 0xc7,
    FLOAT32 = 0xca,
    FLOAT64 = 0xcb,
    UINT8 = 0xcc,
    UINT32 = 0xce,
    UINT64 = 0xcf,
    INT8 = 0xd0,
    FIXEXT1 = 0xd4,
    STR8 = 0xd9,
    STR16 = 0xda,
    ARRAY16 = 0xdc,
    MAP16 = 0xde,
    BIN32 = 0xc6,
    STR32 = 0xdb,
    NEGATIVE_FIXINT = 0xe0,
};

static void put_bytes(struct mp_writer *writer, const void *bytes, size_t size)
{
    if (writer->full || size > writer->size - writer->used) {
        writer->full = true;
        return;
    }
    memcpy(writer->data + writer->used, bytes, size);
    writer->used += size;
}

/* A format byte and `width` bytes of `value`, big-endian as everything in MessagePack. */
static void put_head(struct mp_writer *writer, uint8_t format, uint64_t value, unsigned width)
{
    uint8_t head[9] = {format};
    for (unsigned i = 0; i < width; i++)
        head[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    put_bytes(writer, head, 1 + width);
}

void mp_put_map(struct mp_writer *writer, uint32_t pairs)
{
    if (pairs < 16)
        put_head(writer, (uint8_t)(FIXMAP | pairs), 0, 0);
    else
        put_head(writer, MAP16, pairs, 2);
}

void mp_put_uint(struct mp_writer *writer, uint64_t value)
{
    if (value < 0x80)
        put_head(writer, (uint8_t)value, 0, 0);
    else if (value <= UINT32_MAX)
        put_head(writer, UINT32, value, 4);
    else
        put_head(writer, UINT64, value, 8);
}

void mp_put_bool(struct mp_writer *writer, bool value)
{
    put_head(writer, value ? TRUE : FALSE, 0, 0);
}

void mp_put_str(struct mp_writer *writer, const char *text)
{
    size_t size = strlen(text);
    if (size < 32)
        put_head(writer, (uint8_t)(FIXSTR | size), 0, 0);
    else
        put_head(writer, STR32, size, 4);
    put_bytes(writer, text, size);
}

void mp_put_bin(struct mp_writer *writer, const void *bytes, uint32_t size)
{
    put_head(writer, BIN32, size, 4);
    put_bytes(writer, bytes, size);
}

static bool take_number(struct mp_reader *reader, unsigned width, uint64_t *number)
{
    if ((size_t)(reader->end - reader->at) < width)
        return false;
    *number = 0;
    for (unsigned i = 0; i < width; i++)
        *number = *number << 8 | *reader->at++;
    return true;
}

static bool take_bytes(struct mp_reader *reader, struct mp_value *value, enum mp_type type, uint64_t size)
{
    if (size > (size_t)(reader->end - reader->at))
        return false;
    value->type = type;
    value->bytes = reader->at;
    value->size = (uint32_t)size;
    reader->at += size;
    return true;
}

/*
 * An array or map with more items than there are bytes left is incomplete. It is refused here, so that no
 * caller loops over it.
 */
static bool take_container(
        struct mp_reader *reader, struct mp_value *value, enum mp_type type, uint64_t count)
{
    uint64_t items = type == MP_MAP ? 2 * count : count;
    value->type = type;
    value->count = (uint32_t)count;
    return items <= (size_t)(reader->end - reader->at);
}

static bool take_uint(struct mp_reader *reader, struct mp_value *value, unsigned width)
{
    value->type = MP_UINT;
    return take_number(reader, width, &value->number);
}

static bool take_int(struct mp_reader *reader, struct mp_value *value, unsigned width)
{
    if (!take_number(reader, width, &value->number))
        return false;
    uint64_t sign = 1ull << (8 * width - 1);
    value->type = value->number & sign ? MP_INT : MP_UINT;
    value->number = (value->number ^ sign) - sign;
    return true;
}

static bool take_float(struct mp_reader *reader, struct mp_value *value, unsigned width)
{
    value->type = MP_FLOAT;
    if (!take_number(reader, width, &value->number))
        return false;
    double real;
    memcpy(&real, &value->number, sizeof(real));
    if (width == sizeof(real) && real >= 0 && real < 0x1p53 && real == (double)(uint64_t)real) {
        value->type = MP_UINT;
        value->number = (uint64_t)real;
    }
    return true;
}

static bool take_fixed(struct mp_value *value, enum mp_type type, bool truth)
{
    value->type = type;
    value->truth = truth;
    return true;
}

bool mp_next(struct mp_reader *reader, struct mp_value *value)
{
    uint64_t format, size;
    memset(value, 0, sizeof(*value));
    if (!take_number(reader, 1, &format))
        return false;
    if (format < FIXMAP || format >= NEGATIVE_FIXINT) {
        value->type = format < FIXMAP ? MP_UINT : MP_INT;
        value->number = (uint64_t)(int64_t)(int8_t)format;
        return true;
    }
    if (format < FIXARRAY)
        return take_container(reader, value, MP_MAP, format & 0x0f);
    if (format < FIXSTR)
        return take_container(reader, value, MP_ARRAY, format & 0x0f);
    if (format < NIL)
        return take_bytes(reader, value, MP_STR, format & 0x1f);
    if (format == NIL)
        return take_fixed(value, MP_NIL, false);
    if (format == NEVER_USED)
        return false;
    if (format <= TRUE)
        return take_fixed(value, MP_BOOL, format == TRUE);
    if (format <= BIN32)
        return take_number(reader, 1u << (format - BIN8), &size) && take_bytes(reader, value, MP_BIN, size);
    if (format < FLOAT32) /* an extension's length does not count its type byte */
        return take_number(reader, 1u << (format - EXT8), &size) &&
               take_bytes(reader, value, MP_EXT, size + 1);
    if (format <= FLOAT64)
        return take_float(reader, value, format == FLOAT32 ? 4 : 8);
    if (format <= UINT64)
        return take_uint(reader, value, 1u << (format - UINT8));
    if (format < FIXEXT1)
        return take_int(reader, value, 1u << (format - INT8));
    if (format < STR8)
        return take_bytes(reader, value, MP_EXT, (1u << (format - FIXEXT1)) + 1);
    if (format <= STR32)
        return take_number(reader, 1u << (format - STR8), &size) && take_bytes(reader, value, MP_STR, size);
    if (format < MAP16)
        return take_number(reader, 2u << (format - ARRAY16), &size) &&
               take_container(reader, value, MP_ARRAY, size);
    return take_number(reader, 2u << (format - MAP16), &size) && take_container(reader, value, MP_MAP, size);
}

bool mp_skip(struct mp_reader *reader)
{
    struct mp_value value;
    for (uint64_t pending = 1; pending > 0; pending--) {
        if (!mp_next(reader, &value))
            return false;
        if (value.type == MP_ARRAY)
            pending += value.count;
        else if (value.type == MP_MAP)
            pending += 2ull * value.count;
    }
    return true;
}
