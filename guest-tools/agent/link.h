/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's link to the host: how it is opened, noticed lost and found again, and the framing on it
 * (u32 little-endian length, then one MessagePack map). See qemu/channel/protocol.ts for the protocol.
 *
 * Three ways to be linked: a virtio-serial port (the guest), an inherited descriptor and a listening UNIX
 * socket (tests on the host). On a virtio-serial port an absent host shows as POLLHUP and read() giving 0,
 * and it may come back at any time (Linux drivers/char/virtio_console.c). In a machine that is restored from
 * a snapshot, another host may be there from one moment to the next, without the port ever having been
 * closed.
 */
#ifndef GHOSTCARD_AGENT_LINK_H
#define GHOSTCARD_AGENT_LINK_H

#include "msgpack.h"

#include <poll.h>

enum {
    LINK_MAX_FRAME_BYTES = 256 * 1024,
    LINK_OUT_BYTES = 1024 * 1024,
    /* Bulk data waits when less than this is free: what remains is for replies, which must never be lost. */
    LINK_OUT_RESERVE_BYTES = 512 * 1024,
};

enum link_kind { LINK_PORT, LINK_FD, LINK_LISTEN };

struct link {
    enum link_kind kind;
    int fd;       /* the connection, -1 while there is none (a port stays open while the host is away) */
    int listener; /* LINK_LISTEN only */
    int changes;  /* LINK_PORT only: an epoll that is readable when the port has changed since it was drained
                   */
    bool connected;
    bool down;         /* LINK_PORT only: connected, but the host side has last been seen closed */
    bool in_step;      /* a hello has been found since the connection was opened: frames follow each other */
    uint64_t hello_ms; /* when the last hello came; noted by who understands it */
    bool over;         /* an inherited descriptor has reached its end: nobody will ever come back */
    uint64_t discard;  /* bytes of an oversized frame that are still to be thrown away */
    size_t in_start, in_used;
    size_t out_start, out_used;
    uint8_t in[LINK_MAX_FRAME_BYTES + 4];
    uint8_t out[LINK_OUT_BYTES];
};

/* Each opens or says on stderr why not. link_open_port looks `name` up in /sys/class/virtio-ports. */
bool link_open_port(struct link *link, const char *name);
bool link_open_fd(struct link *link, int fd);
bool link_open_listener(struct link *link, const char *path);

/* The one clock that the agent's time limits are held against: every `now_ms` is its time. */
uint64_t monotonic_ms(void);

/*
 * News of a port's closing may be older than what has been read from it: a host that comes at once behind
 * another may have been heard and answered before the kernel tells that the other has gone. So soon after a
 * hello, a port that is closed does not count as lost.
 */
enum { NEWS_DELAY_MS = 100 };

/* What to poll for, also while the host is away, and how long at most. */
int link_wait_ms(const struct link *link, uint64_t now_ms, int at_most_ms);
void link_poll(const struct link *link, struct pollfd *entry);

enum link_event { LINK_NOTHING, LINK_CONNECTED, LINK_LOST };

/* Moves bytes as far as they go without blocking. LINK_LOST: both buffers have been emptied. */
enum link_event link_pump(struct link *link, uint64_t now_ms);

/* True while there is room for bulk data (see LINK_OUT_RESERVE_BYTES). */
bool link_has_room(const struct link *link);

enum link_frame { FRAME_NONE, FRAME_WHOLE, FRAME_TOO_LONG };

/* Takes the next frame; the first one of a connection is a hello, and what comes before it is passed over.
 * Its body stays valid until the next link_pump. FRAME_TOO_LONG: `size` was announced, and is skipped. */
enum link_frame link_next_frame(struct link *link, const uint8_t **body, size_t *size);

/* A frame is written by link_begin, mp_put_…, link_end. Dropped, with a line on stderr, if it does not fit.
 */
struct mp_writer link_begin(struct link *link);
void link_end(struct link *link, struct mp_writer *writer);

#endif
