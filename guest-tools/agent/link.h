/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's link to the host: how it is opened, how the loss and return of the host are noticed, and the
 * framing (u32 little-endian length, then one MessagePack map). The protocol is in qemu/channel/protocol.ts.
 *
 * There are three kinds of link: a virtio-serial port (in a guest), an inherited descriptor, and a listening
 * UNIX socket (both for tests on the host). On a virtio-serial port, an absent host shows as POLLHUP and
 * read() returning 0, and it may return at any time (Linux drivers/char/virtio_console.c). In a guest
 * restored from a snapshot, a different host may be present from one moment to the next, without the port
 * ever having been closed.
 */
#ifndef GHOSTCARD_AGENT_LINK_H
#define GHOSTCARD_AGENT_LINK_H

#include "msgpack.h"

#include <poll.h>

enum {
    LINK_MAX_FRAME_BYTES = 256 * 1024,
    LINK_OUT_BYTES = 1024 * 1024,
    /* Bulk data waits while less than this is free. The rest is for replies, which must never be lost. */
    LINK_OUT_RESERVE_BYTES = 512 * 1024,
};

enum link_kind { LINK_PORT, LINK_FD, LINK_LISTEN };

struct link {
    enum link_kind kind;
    int fd;       /* the connection, -1 if there is none (a port stays open while the host is absent) */
    int listener; /* LINK_LISTEN only */
    int changes;  /* LINK_PORT only: an epoll that is readable when the port has changed since it was drained
                   */
    bool connected;
    bool down;         /* LINK_PORT only: connected, but the host side was closed when last checked */
    bool in_step;      /* a hello was found since the connection was opened, so frames are in sync */
    uint64_t hello_ms; /* time of the last hello; set by the dispatcher */
    bool over;         /* an inherited descriptor has reached its end: no host can return */
    uint64_t discard;  /* bytes of an oversized frame still to be discarded */
    size_t in_start, in_used;
    size_t out_start, out_used;
    uint8_t in[LINK_MAX_FRAME_BYTES + 4];
    uint8_t out[LINK_OUT_BYTES];
};

/*
 * Each opens the link, or prints to stderr why it cannot. link_open_port looks up `name` in
 * /sys/class/virtio-ports.
 */
bool link_open_port(struct link *link, const char *name);
bool link_open_fd(struct link *link, int fd);
bool link_open_listener(struct link *link, const char *path);

/* The clock of the agent's time limits; every `now_ms` is from it. */
uint64_t monotonic_ms(void);

/*
 * The report that a port was closed may be older than data already read from it: if a host connects right
 * after another one, it may be heard and answered before the kernel reports the other's disconnection. So
 * within this time after a hello, a closed port does not count as lost.
 */
enum { NEWS_DELAY_MS = 100 };

/* The descriptor to poll, also while the host is absent, and the time limit for that. */
int link_wait_ms(const struct link *link, uint64_t now_ms, int at_most_ms);
void link_poll(const struct link *link, struct pollfd *entry);

enum link_event { LINK_NOTHING, LINK_CONNECTED, LINK_LOST };

/* Moves bytes as far as possible without blocking. LINK_LOST: both buffers are now empty. */
enum link_event link_pump(struct link *link, uint64_t now_ms);

/* Whether there is room for bulk data (see LINK_OUT_RESERVE_BYTES). */
bool link_has_room(const struct link *link);

enum link_frame { FRAME_NONE, FRAME_WHOLE, FRAME_TOO_LONG };

/*
 * Takes the next frame. The first one of a connection is a hello, and everything before it is skipped. The
 * body is valid until the next link_pump. FRAME_TOO_LONG: a frame of `size` bytes was announced and is
 * skipped.
 */
enum link_frame link_next_frame(struct link *link, const uint8_t **body, size_t *size);

/*
 * A frame is written by link_begin, mp_put_…, link_end. If it does not fit, it is discarded, with a line on
 * stderr.
 */
struct mp_writer link_begin(struct link *link);
void link_end(struct link *link, struct mp_writer *writer);

#endif
