/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes frames into requests; see request.h. */
#include "request.h"

#include <stdlib.h>
#include <string.h>

enum field_kind { FIELD_U32, FIELD_U64, FIELD_BOOL, FIELD_STR, FIELD_BIN, FIELD_RAW };

static const struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
} FIELDS[] = {
        {"type", FIELD_STR, offsetof(struct request, type)},
        {"id", FIELD_U32, offsetof(struct request, id)},
        {"stdin", FIELD_BOOL, offsetof(struct request, has_stdin)},
        {"terminal", FIELD_BOOL, offsetof(struct request, has_terminal)},
        {"columns", FIELD_U32, offsetof(struct request, columns)},
        {"rows", FIELD_U32, offsetof(struct request, rows)},
        {"mode", FIELD_U32, offsetof(struct request, mode)},
        {"bytes", FIELD_U64, offsetof(struct request, bytes)},
        {"timeoutMs", FIELD_U64, offsetof(struct request, timeout_ms)},
        {"realtimeMs", FIELD_U64, offsetof(struct request, realtime_ms)},
        {"path", FIELD_STR, offsetof(struct request, path)},
        {"cwd", FIELD_STR, offsetof(struct request, cwd)},
        {"root", FIELD_STR, offsetof(struct request, root)},
        {"signal", FIELD_STR, offsetof(struct request, signal)},
        {"hostname", FIELD_STR, offsetof(struct request, hostname)},
        {"entropy", FIELD_BIN, offsetof(struct request, entropy)},
        {"data", FIELD_BIN, offsetof(struct request, data)},
        {"argv", FIELD_RAW, offsetof(struct request, argv)},
        {"env", FIELD_RAW, offsetof(struct request, env)},
};

bool slice_is(struct slice slice, const char *text)
{
    return slice.bytes && slice.size == strlen(text) && memcmp(slice.bytes, text, slice.size) == 0;
}

char *slice_text(struct slice slice)
{
    if (!slice.bytes || memchr(slice.bytes, '\0', slice.size))
        return NULL;
    return strndup((const char *)slice.bytes, slice.size);
}

static const struct field *field_named(struct slice name)
{
    for (size_t i = 0; i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++) {
        if (slice_is(name, FIELDS[i].name))
            return &FIELDS[i];
    }
    return NULL;
}

/* Stores one value in its field. False: not of the field's type, or out of its range. */
static bool store(const struct field *field, const struct mp_value *value, struct request *request)
{
    void *target = (char *)request + field->offset;
    switch (field->kind) {
    case FIELD_U32:
        *(uint32_t *)target = (uint32_t)value->number;
        return value->type == MP_UINT && value->number <= UINT32_MAX;
    case FIELD_U64:
        *(uint64_t *)target = value->number;
        return value->type == MP_UINT;
    case FIELD_BOOL:
        *(bool *)target = value->truth;
        return value->type == MP_BOOL;
    default:
        *(struct slice *)target = (struct slice){value->bytes, value->size};
        return value->type == (field->kind == FIELD_STR ? MP_STR : MP_BIN);
    }
}

const char *request_decode(const uint8_t *frame, size_t size, struct request *request)
{
    struct mp_reader reader = {frame, frame + size};
    struct mp_value map, key, value;
    const char *wrong = NULL;
    memset(request, 0, sizeof(*request));
    if (!mp_next(&reader, &map) || map.type != MP_MAP)
        return "the frame is not a MessagePack map";
    for (uint32_t i = 0; i < map.count; i++) {
        if (!mp_next(&reader, &key) || key.type != MP_STR)
            return "a key is not a string, or the frame is truncated";
        const uint8_t *start = reader.at;
        if (!mp_skip(&reader))
            return "a value is malformed or truncated";
        const struct field *field = field_named((struct slice){key.bytes, key.size});
        if (!field)
            continue;
        struct mp_reader again = {start, reader.at};
        if (field->kind == FIELD_RAW)
            *(struct slice *)((char *)request + field->offset) =
                    (struct slice){start, (uint32_t)(reader.at - start)};
        else if (!mp_next(&again, &value) || !store(field, &value, request))
            wrong = "a field has the wrong type or is out of range";
        else if (strcmp(field->name, "id") == 0)
            request->has_id = true;
    }
    if (reader.at != reader.end)
        return "there are bytes after the map";
    if (!request->type.bytes)
        return wrong ? wrong : "the field 'type' is missing";
    return wrong;
}

/* Copies `count` strings from the reader to `text`, each followed by `separators[i % 2]`. */
static bool copy_strings(
        struct mp_reader *reader, uint32_t count, const char separators[2], char *text, char **starts)
{
    for (uint32_t i = 0; i < count; i++) {
        struct mp_value value;
        if (!mp_next(reader, &value) || value.type != MP_STR || memchr(value.bytes, '\0', value.size))
            return false;
        starts[i] = text;
        memcpy(text, value.bytes, value.size);
        text += value.size;
        *text++ = separators[i % 2];
    }
    return true;
}

char **request_argv(struct slice argv)
{
    struct mp_reader reader = {argv.bytes, argv.bytes + argv.size};
    struct mp_value array;
    if (!argv.bytes || !mp_next(&reader, &array) || array.type != MP_ARRAY || array.count == 0)
        return NULL;
    /* Each string needs its bytes and a NUL, for which there is room because of its MessagePack head. */
    char **vector = calloc(1, (array.count + 1) * sizeof(char *) + argv.size);
    if (vector && !copy_strings(&reader, array.count, "\0\0", (char *)(vector + array.count + 1), vector)) {
        free(vector);
        return NULL;
    }
    return vector;
}

static bool names_same_variable(const char *one, const char *other)
{
    size_t size = strcspn(one, "=") + 1;
    return strncmp(one, other, size) == 0;
}

char **request_envp(struct slice env, char *const *base)
{
    struct mp_reader reader = {env.bytes, env.bytes + env.size};
    struct mp_value map = {0};
    uint32_t base_count = 0, used = 0;
    while (base[base_count])
        base_count++;
    if (env.bytes && (!mp_next(&reader, &map) || map.type != MP_MAP))
        return NULL;
    uint32_t strings = 2 * map.count;
    /*
     * The host's pairs first, with key and value in turn: only every other start is an entry of the
     * environment.
     */
    char **vector = calloc(1, (base_count + strings + 1) * sizeof(char *) + env.size);
    if (!vector)
        return NULL;
    if (!copy_strings(&reader, strings, "=\0", (char *)(vector + base_count + strings + 1), vector)) {
        free(vector);
        return NULL;
    }
    for (uint32_t i = 0; i < strings; i += 2)
        vector[used++] = vector[i];
    uint32_t from_host = used;
    for (uint32_t i = 0; i < base_count; i++) {
        bool overridden = false;
        for (uint32_t j = 0; j < from_host; j++)
            overridden = overridden || names_same_variable(base[i], vector[j]);
        if (!overridden)
            vector[used++] = base[i];
    }
    vector[used] = NULL;
    return vector;
}
