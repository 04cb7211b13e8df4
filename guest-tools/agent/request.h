/* SPDX-License-Identifier: Apache-2.0 */
/* One message from the host, decoded. Names and meanings of the fields: qemu/channel/protocol.ts. */
#ifndef GHOSTCARD_AGENT_REQUEST_H
#define GHOSTCARD_AGENT_REQUEST_H

#include "msgpack.h"

/*
 * A text or blob inside the frame, neither terminated nor copied. `bytes` is NULL if the field was not sent.
 */
struct slice {
    const uint8_t *bytes;
    uint32_t size;
};

struct request {
    struct slice type;
    bool has_id;
    uint32_t id;
    bool has_stdin, has_terminal;
    uint32_t columns, rows;
    uint32_t mode;
    uint64_t bytes;
    uint64_t timeout_ms;  /* 0: no limit */
    uint64_t realtime_ms; /* since 1970 */
    struct slice path, cwd, root, signal, hostname, data, entropy;
    struct slice argv, env; /* the encoded array of strings and map of strings */
};

/* Decodes the frame; unknown fields are ignored. Returns NULL, or what is wrong with the frame. */
const char *request_decode(const uint8_t *frame, size_t size, struct request *request);

bool slice_is(struct slice slice, const char *text);

/* A terminated copy on the heap. NULL without memory, or if the text contains a NUL. */
char *slice_text(struct slice slice);

/*
 * NULL-terminated vectors for execve, each in a single heap block. NULL without memory, or if the field is
 * not an array (map) of strings without NUL. `request_envp` starts with `base`; the host's variables override
 * it.
 */
char **request_argv(struct slice argv);
char **request_envp(struct slice env, char *const *base);

#endif
