/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the host; see reply.h. */
#define _GNU_SOURCE
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mp_writer begin(struct link *link, const char *type, uint32_t pairs)
{
    struct mp_writer writer = link_begin(link);
    mp_put_map(&writer, pairs + 1);
    mp_put_str(&writer, "type");
    mp_put_str(&writer, type);
    return writer;
}

static void put_uint(struct mp_writer *writer, const char *key, uint64_t value)
{
    mp_put_str(writer, key);
    mp_put_uint(writer, value);
}

static void put_str(struct mp_writer *writer, const char *key, const char *value)
{
    mp_put_str(writer, key);
    mp_put_str(writer, value);
}

void reply_hello(struct link *link, const uint32_t *id)
{
    struct utsname name;
    uname(&name);
    struct mp_writer writer = begin(link, "hello", id ? 7 : 6);
    if (id)
        put_uint(&writer, "id", *id);
    put_uint(&writer, "protocol", PROTOCOL_VERSION);
    put_uint(&writer, "maxFrameBytes", LINK_MAX_FRAME_BYTES);
    put_uint(&writer, "windowBytes", WINDOW_BYTES);
    put_uint(&writer, "pid", (uint64_t)getpid());
    put_str(&writer, "kernel", name.release);
    put_str(&writer, "machine", name.machine);
    link_end(link, &writer);
}

void reply_pong(struct link *link, uint32_t id)
{
    struct mp_writer writer = begin(link, "pong", 1);
    put_uint(&writer, "id", id);
    link_end(link, &writer);
}

void reply_renewed(struct link *link, uint32_t id)
{
    struct mp_writer writer = begin(link, "renewed", 1);
    put_uint(&writer, "id", id);
    link_end(link, &writer);
}

void reply_started(struct link *link, uint32_t id, int pid)
{
    struct mp_writer writer = begin(link, "started", 2);
    put_uint(&writer, "id", id);
    put_uint(&writer, "pid", (uint64_t)pid);
    link_end(link, &writer);
}

void reply_output(struct link *link, uint32_t id, const char *stream, const void *bytes, uint32_t size)
{
    struct mp_writer writer = begin(link, "output", 3);
    put_uint(&writer, "id", id);
    put_str(&writer, "stream", stream);
    mp_put_str(&writer, "data");
    mp_put_bin(&writer, bytes, size);
    link_end(link, &writer);
}

void reply_credit(struct link *link, uint32_t id, uint64_t bytes)
{
    struct mp_writer writer = begin(link, "credit", 2);
    put_uint(&writer, "id", id);
    put_uint(&writer, "bytes", bytes);
    link_end(link, &writer);
}

void reply_mark(struct link *link, uint32_t id, const char *text)
{
    struct mp_writer writer = begin(link, "mark", 2);
    put_uint(&writer, "id", id);
    put_str(&writer, "text", text);
    link_end(link, &writer);
}

void reply_late(struct link *link, uint32_t id, const char *processes)
{
    struct mp_writer writer = begin(link, "late", 2);
    put_uint(&writer, "id", id);
    put_str(&writer, "processes", processes);
    link_end(link, &writer);
}

void reply_exited(struct link *link, uint32_t id, const struct outcome *outcome)
{
    struct mp_writer writer = begin(link, "exited", 4);
    put_uint(&writer, "id", id);
    if (WIFSIGNALED(outcome->wait_status)) {
        char signal[16];
        const char *name = sigabbrev_np(WTERMSIG(outcome->wait_status));
        snprintf(signal, sizeof(signal), "SIG%s", name ? name : "UNKNOWN");
        put_str(&writer, "signal", signal);
    } else {
        put_uint(&writer, "exitCode", (uint64_t)WEXITSTATUS(outcome->wait_status));
    }
    mp_put_str(&writer, "timedOut");
    mp_put_bool(&writer, outcome->timed_out);
    put_uint(&writer, "durationMs", outcome->duration_ms);
    link_end(link, &writer);
}

void reply_done(struct link *link, uint32_t id, uint64_t bytes, uint32_t mode)
{
    struct mp_writer writer = begin(link, "done", 3);
    put_uint(&writer, "id", id);
    put_uint(&writer, "bytes", bytes);
    put_uint(&writer, "mode", mode);
    link_end(link, &writer);
}

void reply_failed(struct link *link, uint32_t id, int error, const char *format, ...)
{
    char text[1536];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct mp_writer writer = begin(link, "failed", 4);
    put_uint(&writer, "id", id);
    put_uint(&writer, "errno", (uint64_t)error);
    put_str(&writer, "code", error ? strerrorname_np(error) : "");
    put_str(&writer, "message", text);
    link_end(link, &writer);
}

void reply_error(struct link *link, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct mp_writer writer = begin(link, "error", 1);
    put_str(&writer, "message", text);
    link_end(link, &writer);
}
