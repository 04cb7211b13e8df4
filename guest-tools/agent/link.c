/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's link to the host: opening it, noticing when the host connects and disconnects, moving bytes.
 * See link.h; frames are in frame.c.
 */
#define _GNU_SOURCE
#include "link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void start_afresh(struct link *link)
{
    link->in_step = false;
    link->discard = 0;
    link->in_start = link->in_used = 0;
    link->out_start = link->out_used = 0;
}

/* The device of the virtio-serial port `name`: /dev/vport0p1 for /sys/class/virtio-ports/vport0p1. */
static bool find_port(const char *name, char *device, size_t device_size)
{
    DIR *folder = opendir("/sys/class/virtio-ports");
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        char path[320], text[128];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(text, sizeof(text), file)) {
            text[strcspn(text, "\n")] = '\0';
            found = strcmp(text, name) == 0;
        }
        fclose(file);
        snprintf(device, device_size, "/dev/%s", entry->d_name);
    }
    if (folder)
        closedir(folder);
    return found;
}

/*
 * While the host is absent, poll() reports POLLHUP all the time, so waiting for it needs an edge-triggered
 * epoll.
 */
static bool watch_changes(struct link *link)
{
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    link->changes = epoll_create1(EPOLL_CLOEXEC);
    return link->changes >= 0 && epoll_ctl(link->changes, EPOLL_CTL_ADD, link->fd, &interest) == 0;
}

bool link_open_port(struct link *link, const char *name)
{
    char device[300];
    *link = (struct link){.kind = LINK_PORT, .fd = -1, .listener = -1, .changes = -1};
    if (!find_port(name, device, sizeof(device))) {
        fprintf(stderr,
                "agent: no virtio-serial port named '%s' in /sys/class/virtio-ports: is virtio_console "
                "loaded, and the port on QEMU's command line?\n",
                name);
        return false;
    }
    link->fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (link->fd < 0 || !watch_changes(link)) {
        fprintf(stderr, "agent: cannot open and watch %s: %s\n", device, strerror(errno));
        return false;
    }
    return true;
}

bool link_open_fd(struct link *link, int fd)
{
    *link = (struct link){.kind = LINK_FD, .fd = fd, .listener = -1};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        fprintf(stderr, "agent: cannot use descriptor %d: %s\n", fd, strerror(errno));
        return false;
    }
    return true;
}

bool link_open_listener(struct link *link, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *link = (struct link){.kind = LINK_LISTEN, .fd = -1, .listener = -1};
    if (strlen(path) >= sizeof(address.sun_path)) {
        fprintf(stderr, "agent: a socket path of %zu bytes exceeds the limit of %zu: %s\n", strlen(path),
                sizeof(address.sun_path) - 1, path);
        return false;
    }
    strcpy(address.sun_path, path);
    link->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->listener < 0 || bind(link->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(link->listener, 1) < 0) {
        fprintf(stderr, "agent: cannot listen on %s: %s\n", path, strerror(errno));
        return false;
    }
    printf("agent: listening on %s\n", path); /* tests wait for this line */
    fflush(stdout);
    return true;
}

void link_poll(const struct link *link, struct pollfd *entry)
{
    *entry = (struct pollfd){.fd = -1};
    if (link->connected && !link->down) {
        entry->fd = link->fd;
        if (link->in_used < sizeof(link->in))
            entry->events |= POLLIN;
        if (link->out_used > 0)
            entry->events |= POLLOUT;
    } else if (link->kind == LINK_LISTEN) {
        *entry = (struct pollfd){.fd = link->listener, .events = POLLIN};
    } else if (link->kind == LINK_PORT) {
        *entry = (struct pollfd){.fd = link->changes, .events = POLLIN};
    }
}

int link_wait_ms(const struct link *link, uint64_t now_ms, int at_most_ms)
{
    uint64_t lost_ms = link->hello_ms + NEWS_DELAY_MS;
    if (!link->down)
        return at_most_ms;
    if (now_ms >= lost_ms)
        return 0;
    return lost_ms - now_ms < (uint64_t)at_most_ms ? (int)(lost_ms - now_ms) : at_most_ms;
}

/* A port reports POLLHUP while its host side is closed; writes to it then fail with EAGAIN. */
static bool hangs_up(int fd)
{
    struct pollfd entry = {.fd = fd};
    return poll(&entry, 1, 0) > 0;
}

static bool port_is_down(const struct link *link)
{
    struct epoll_event change;
    if (link->kind != LINK_PORT || !hangs_up(link->fd))
        return false;
    epoll_wait(link->changes, &change, 1, 0);
    return hangs_up(link->fd); /* the next poll reports later changes */
}

static bool try_connect(struct link *link)
{
    if (link->kind == LINK_LISTEN) {
        link->fd = accept4(link->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        return link->fd >= 0;
    }
    return !link->over && !port_is_down(link);
}

static enum link_event lose(struct link *link)
{
    link->connected = false;
    link->down = false;
    start_afresh(link);
    if (link->kind == LINK_LISTEN) {
        close(link->fd);
        link->fd = -1;
    }
    link->over = link->kind == LINK_FD;
    return LINK_LOST;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* False: the host has disconnected. */
static bool write_out(struct link *link)
{
    while (link->out_used > 0) {
        ssize_t sent = write(link->fd, link->out + link->out_start, link->out_used);
        if (sent <= 0)
            return sent < 0 && would_block();
        link->out_start += (size_t)sent;
        link->out_used -= (size_t)sent;
    }
    link->out_start = 0;
    return true;
}

/* Reads what fits. False: the host has disconnected. */
static bool read_in(struct link *link)
{
    if (link->in_start > 0) {
        memmove(link->in, link->in + link->in_start, link->in_used);
        link->in_start = 0;
    }
    while (link->in_used < sizeof(link->in)) {
        ssize_t got = read(link->fd, link->in + link->in_used, sizeof(link->in) - link->in_used);
        if (got <= 0) /* a port says 0 when it is down, which the next look at it will tell */
            return got < 0 ? would_block() : link->kind == LINK_PORT;
        link->in_used += (size_t)got;
        size_t thrown = link->discard < link->in_used ? (size_t)link->discard : link->in_used;
        if (thrown >
                0) { /* an oversized frame is never followed by anything in the buffer, so it starts at 0 */
            memmove(link->in, link->in + thrown, link->in_used - thrown);
            link->in_used -= thrown;
            link->discard -= thrown;
        }
    }
    return true;
}

enum link_event link_pump(struct link *link, uint64_t now_ms)
{
    if (!link->connected) {
        if (!try_connect(link))
            return LINK_NOTHING;
        start_afresh(link);
        link->connected = true;
        return LINK_CONNECTED;
    }
    link->down = port_is_down(link);
    if (link->down)
        return now_ms < link->hello_ms + NEWS_DELAY_MS ? LINK_NOTHING : lose(link);
    return write_out(link) && read_in(link) ? LINK_NOTHING : lose(link);
}

bool link_has_room(const struct link *link)
{
    return link->connected && link->out_used < LINK_OUT_BYTES - LINK_OUT_RESERVE_BYTES;
}
