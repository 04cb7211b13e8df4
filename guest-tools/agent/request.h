/* SPDX-License-Identifier: Apache-2.0 */
/* One message from the host, taken apart. Field names and meanings: qemu/channel/protocol.ts. */
#ifndef GHOSTCARD_AGENT_REQUEST_H
#define GHOSTCARD_AGENT_REQUEST_H

#include "msgpack.h"

/* A text or blob inside the frame: not terminated, not copied. `bytes` is NULL when the field was not sent.
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
    struct slice argv, env; /* whole encoded array of strings and map of strings */
};

/* Fills in what the frame holds; unknown fields are passed over. NULL, or what is wrong with the frame. */
const char *request_decode(const uint8_t *frame, size_t size, struct request *request);

bool slice_is(struct slice slice, const char *text);

/* A terminated copy on the heap; NULL without memory, or when the text holds a NUL. */
char *slice_text(struct slice slice);

/*
 * NULL-terminated vectors for execve on the heap, each in one block to be freed as one. NULL without memory,
 * or when the field is not an array (map) of strings without NUL. `request_envp` puts `base` first and lets
 * the host's names win.
 */
char **request_argv(struct slice argv);
char **request_envp(struct slice env, char *const *base);

#endif
