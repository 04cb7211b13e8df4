/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the host, one function each. Field names and meanings: qemu/channel/protocol.ts. */
#ifndef GHOSTCARD_AGENT_REPLY_H
#define GHOSTCARD_AGENT_REPLY_H

#include "link.h"

enum { PROTOCOL_VERSION = 2, WINDOW_BYTES = 256 * 1024, CHUNK_BYTES = 32 * 1024 };

/* `id` NULL: unsolicited, because a host has just connected. */
void reply_hello(struct link *link, const uint32_t *id);
void reply_pong(struct link *link, uint32_t id);
void reply_renewed(struct link *link, uint32_t id);
void reply_started(struct link *link, uint32_t id, int pid);
void reply_output(struct link *link, uint32_t id, const char *stream, const void *bytes, uint32_t size);
void reply_credit(struct link *link, uint32_t id, uint64_t bytes);

/* Asks the host to mark this moment. The agent chooses `id`. */
void reply_mark(struct link *link, uint32_t id, const char *text);

/* Command `id` is at its time limit, and is killed now: what its processes were doing. */
void reply_late(struct link *link, uint32_t id, const char *processes);

struct outcome {
    int wait_status; /* from waitpid */
    bool timed_out;
    uint64_t duration_ms;
};
void reply_exited(struct link *link, uint32_t id, const struct outcome *outcome);

void reply_done(struct link *link, uint32_t id, uint64_t bytes, uint32_t mode);

/* Request `id` failed: what was attempted, and errno (0: not a system error). */
__attribute__((format(printf, 4, 5))) void reply_failed(
        struct link *link, uint32_t id, int error, const char *format, ...);

/* An error in a frame that belongs to no request. */
__attribute__((format(printf, 2, 3))) void reply_error(struct link *link, const char *format, ...);

#endif
