/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest agent: runs commands and transfers files for the host, over a virtio-serial port. The guest's
 * /init runs nothing else, so the agent never ends, and reaps the orphans of commands. On the host, tests run
 * the same program on a descriptor or a socket.
 *
 * It is a single-threaded loop in which nothing blocks: poll, link_pump (bytes), dispatch (frames),
 * command_pump and transfer_pump. Protocol: qemu/channel/protocol.ts. Read command.c next for how commands
 * run, and link.c for how the host connects and disconnects.
 */
#define _GNU_SOURCE
#include "command.h"
#include "link.h"
#include "mark.h"
#include "renew.h"
#include "reply.h"
#include "request.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char DEFAULT_PORT[] = "org.ghostcard.agent";
static const char USAGE[] = "usage: agent [--port NAME | --fd NUMBER | --listen PATH]\n"
                            "  --port NAME    serve the virtio-serial port of that name (default "
                            "org.ghostcard.agent); waits until it exists\n"
                            "  --fd NUMBER    serve an open socket descriptor, exit at its end\n"
                            "  --listen PATH  serve one client after the other on a UNIX socket\n";

enum { IDLE_WAIT_MS = 60000, PORT_RETRY_SECONDS = 1 };

static struct link the_link;

static void abandon_all(void)
{
    command_abandon_all();
    transfer_abandon_all();
    mark_abandon_all();
}

/* Requests that begin something with an id of its own. */
static bool begin_request(struct link *link, const struct request *request)
{
    static const struct {
        const char *type;
        void (*begin)(struct link *, const struct request *);
    } REQUESTS[] = {{"exec", command_start}, {"push", transfer_push}, {"fetch", transfer_fetch}};
    for (size_t i = 0; i < sizeof(REQUESTS) / sizeof(REQUESTS[0]); i++) {
        if (!slice_is(request->type, REQUESTS[i].type))
            continue;
        if (command_is_running(request->id) || transfer_is_running(request->id))
            reply_error(link, "%s: id %u is already in use", REQUESTS[i].type, request->id);
        else
            REQUESTS[i].begin(link, request);
        return true;
    }
    return false;
}

/*
 * Messages about something that was begun before. An unknown id is not an error: the request has just
 * finished, and the message that says so is on its way.
 */
static bool continue_request(struct link *link, const struct request *request)
{
    if (slice_is(request->type, "input"))
        return command_input(link, request) || transfer_input(link, request) || true;
    if (slice_is(request->type, "end"))
        return command_end_input(link, request->id) || transfer_end_input(link, request->id) || true;
    if (slice_is(request->type, "credit"))
        return command_credit(link, request->id, request->bytes) ||
               transfer_credit(link, request->id, request->bytes) || true;
    if (slice_is(request->type, "signal"))
        return command_signal(link, request), true;
    if (slice_is(request->type, "resize"))
        return command_resize(link, request), true;
    if (slice_is(request->type, "marked"))
        return mark_done(request->id), true;
    return false;
}

/* How much of a text from the host to repeat in an error. */
static int shown(struct slice text)
{
    return text.size < 64 ? (int)text.size : 64;
}

static void dispatch(struct link *link, const uint8_t *frame, size_t size)
{
    struct request request;
    const char *wrong = request_decode(frame, size, &request);
    if (wrong && request.has_id)
        reply_failed(link, request.id, EBADMSG, "frame of %zu bytes: %s", size, wrong);
    else if (wrong)
        reply_error(link, "frame of %zu bytes: %s", size, wrong);
    else if (!request.has_id)
        reply_error(link, "a message of type '%.*s' needs an id", shown(request.type),
                (const char *)request.type.bytes);
    else if (slice_is(request.type, "hello")) { /* a new host: kill what runs for the last one */
        link->hello_ms = monotonic_ms();
        abandon_all();
        reply_hello(link, &request.id);
    } else if (slice_is(request.type, "ping"))
        reply_pong(link, request.id);
    else if (slice_is(request.type, "renew"))
        renew(link, &request);
    else if (!begin_request(link, &request) && !continue_request(link, &request))
        reply_failed(link, request.id, ENOSYS, "a message of type '%.*s' is unknown to protocol version %d",
                shown(request.type), (const char *)request.type.bytes, PROTOCOL_VERSION);
}

/* Frames are processed only while there is room for their replies, so that no reply is ever lost. */
static void dispatch_frames(struct link *link)
{
    const uint8_t *body;
    size_t size;
    while (link_has_room(link)) {
        switch (link_next_frame(link, &body, &size)) {
        case FRAME_NONE:
            return;
        case FRAME_TOO_LONG:
            reply_error(link, "a frame of %zu bytes exceeds the limit of %d and was skipped", size,
                    LINK_MAX_FRAME_BYTES);
            break;
        case FRAME_WHOLE:
            dispatch(link, body, size);
            break;
        }
    }
}

static void drain_signals(int signals)
{
    struct signalfd_siginfo info[8];
    while (read(signals, info, sizeof(info)) > 0)
        ;
}

static void serve(struct link *link, int signals)
{
    bool busy = true; /* the host may already be connected */
    while (!link->over) {
        struct pollfd entries[2 + 3 * MAX_COMMANDS + 1 + MAX_MARKS];
        entries[0] = (struct pollfd){.fd = signals, .events = POLLIN};
        link_poll(link, &entries[1]);
        size_t count = 2 + command_poll(link, entries + 2);
        count += mark_poll(link, entries + count);
        uint64_t now_ms = monotonic_ms();
        int limit_ms = link_wait_ms(link, now_ms, busy ? 0 : IDLE_WAIT_MS);
        poll(entries, count, command_wait_ms(now_ms, limit_ms));

        drain_signals(signals);
        switch (link_pump(link, monotonic_ms())) {
        case LINK_CONNECTED:
            reply_hello(link, NULL);
            break;
        case LINK_LOST:
            abandon_all();
            break;
        case LINK_NOTHING:
            dispatch_frames(link);
            break;
        }
        command_reap();
        command_pump(link, monotonic_ms());
        mark_pump(link);
        busy = transfer_pump(link);
    }
}

/*
 * Descriptors 0 to 2 must not be used for pipes, commands need a PATH, and a disconnected host must not raise
 * SIGPIPE.
 */
static void prepare_process(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
    setenv("HOME", "/root", 0);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans become our children, even if we are not process 1 */
}

static int open_child_signals(void)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    return signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    const char *how = argc == 3 ? argv[1] : "--port";
    const char *where = argc == 3 ? argv[2] : DEFAULT_PORT;
    bool opened;
    if (argc != 1 && argc != 3) {
        fputs(USAGE, stderr);
        return 2;
    }
    prepare_process();
    if (strcmp(how, "--port") == 0) {
        while (!(opened = link_open_port(&the_link, where)))
            sleep(PORT_RETRY_SECONDS);
    } else if (strcmp(how, "--fd") == 0) {
        opened = link_open_fd(&the_link, atoi(where));
    } else if (strcmp(how, "--listen") == 0) {
        opened = link_open_listener(&the_link, where);
    } else {
        fputs(USAGE, stderr);
        return 2;
    }
    if (!opened)
        return 1;
    mark_listen(&the_link);
    serve(&the_link, open_child_signals());
    abandon_all();
    return 0;
}
