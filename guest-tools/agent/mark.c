/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of programs in the guest; see mark.h. */
#define _GNU_SOURCE
#include "mark.h"
#include "../lib/mark.h"
#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1;
static uint32_t last_id;

static struct waiting {
    int fd; /* 0: free; descriptor 0 is never a socket here */
    bool sent;
    uint32_t id;
} waiting[MAX_MARKS];

void mark_listen(const struct link *link)
{
    char name[64] = GC_AGENT_NAME;
    if (link->kind != LINK_PORT) /* other agents may run on this machine */
        snprintf(name, sizeof(name), "%s-%d", GC_AGENT_NAME, (int)getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, MAX_MARKS) != 0) {
        fprintf(stderr, "agent: cannot listen for marks as %s: %s\n", name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    if (strcmp(name, GC_AGENT_NAME) != 0)
        setenv(GC_AGENT_VARIABLE, name, 1);
    listener = fd;
}

static void release(struct waiting *one)
{
    close(one->fd);
    *one = (struct waiting){0};
}

static struct waiting *free_place(void)
{
    for (struct waiting *one = waiting; one < waiting + MAX_MARKS; one++) {
        if (one->fd == 0)
            return one;
    }
    return NULL;
}

void mark_done(uint32_t id)
{
    for (struct waiting *one = waiting; one < waiting + MAX_MARKS; one++) {
        if (one->fd != 0 && one->sent && one->id == id)
            release(one);
    }
}

/* Whether its text must wait until the link has room for it. */
static bool must_wait(const struct link *link, const struct waiting *one)
{
    return !one->sent && link->in_step && !link_has_room(link);
}

/* Reads the text and sends it to the host; after that, only checks whether the program still waits. */
static void pump(struct link *link, struct waiting *one)
{
    char text[GC_MARK_BYTES + 1];
    if (must_wait(link, one))
        return;
    ssize_t size = recv(one->fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0 || !link->in_step) { /* it has exited, or there is no host */
        release(one);
    } else if (!one->sent) {
        text[size] = '\0';
        one->sent = true;
        one->id = ++last_id;
        reply_mark(link, one->id, text);
    }
}

void mark_pump(struct link *link)
{
    struct waiting *place;
    int fd;
    while (listener >= 0 && (place = free_place()) != NULL &&
            (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        place->fd = fd;
    for (struct waiting *one = waiting; one < waiting + MAX_MARKS; one++) {
        if (one->fd != 0)
            pump(link, one);
    }
}

size_t mark_poll(const struct link *link, struct pollfd *entries)
{
    size_t count = 0;
    if (listener >= 0 && free_place() != NULL)
        entries[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (const struct waiting *one = waiting; one < waiting + MAX_MARKS; one++) {
        if (one->fd != 0 && !must_wait(link, one))
            entries[count++] = (struct pollfd){.fd = one->fd, .events = POLLIN};
    }
    return count;
}

void mark_abandon_all(void)
{
    for (struct waiting *one = waiting; one < waiting + MAX_MARKS; one++) {
        if (one->fd != 0)
            release(one);
    }
}
