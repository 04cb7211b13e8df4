/* SPDX-License-Identifier: Apache-2.0 */
/* Files pushed and fetched; see transfer.h. */
#define _GNU_SOURCE
#include "transfer.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct transfer {
    bool used, pushing;
    uint32_t id, mode;
    int fd;
    uint64_t moved;
    uint64_t window; /* fetch: bytes that the host still accepts */
    char *path;
    char *partial; /* push: the temporary name */
} transfers[MAX_TRANSFERS];

static struct transfer *find(uint32_t id)
{
    for (struct transfer *transfer = transfers; transfer < transfers + MAX_TRANSFERS; transfer++) {
        if (transfer->used && transfer->id == id)
            return transfer;
    }
    return NULL;
}

bool transfer_is_running(uint32_t id)
{
    return find(id) != NULL;
}

static void forget(struct transfer *transfer)
{
    if (transfer->fd >= 0)
        close(transfer->fd);
    if (transfer->partial)
        unlink(transfer->partial);
    free(transfer->partial);
    free(transfer->path);
    *transfer = (struct transfer){0};
}

static void fail(struct link *link, struct transfer *transfer, const char *attempt)
{
    int error = errno;
    reply_failed(link, transfer->id, error, "%s %.300s after %llu bytes", attempt, transfer->path,
            (unsigned long long)transfer->moved);
    forget(transfer);
}

/* A slot with its path. NULL: an error was sent to the host. */
static struct transfer *begin(struct link *link, const struct request *request, const char *what)
{
    struct transfer *transfer = transfers;
    while (transfer < transfers + MAX_TRANSFERS && transfer->used)
        transfer++;
    if (transfer == transfers + MAX_TRANSFERS) {
        reply_failed(link, request->id, EAGAIN, "%s: %d transfers are in progress, which is the limit", what,
                MAX_TRANSFERS);
        return NULL;
    }
    char *path = slice_text(request->path);
    if (!path) {
        reply_failed(link, request->id, EINVAL, "%s: the path is missing or contains a NUL", what);
        return NULL;
    }
    *transfer = (struct transfer){.used = true,
            .id = request->id,
            .mode = request->mode,
            .fd = -1,
            .path = path,
            .window = WINDOW_BYTES};
    return transfer;
}

void transfer_push(struct link *link, const struct request *request)
{
    struct transfer *transfer = begin(link, request, "push");
    if (!transfer)
        return;
    transfer->pushing = true;
    if (asprintf(&transfer->partial, "%s.partial-%u", transfer->path, transfer->id) < 0)
        transfer->partial = NULL;
    else
        transfer->fd = open(transfer->partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (transfer->fd < 0)
        fail(link, transfer, "push: cannot create");
}

void transfer_fetch(struct link *link, const struct request *request)
{
    struct stat status;
    struct transfer *transfer = begin(link, request, "fetch");
    if (!transfer)
        return;
    transfer->fd = open(transfer->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (transfer->fd < 0 || fstat(transfer->fd, &status) < 0) {
        fail(link, transfer, "fetch: cannot open");
    } else if (!S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        fail(link, transfer, "fetch: not a regular file:");
    } else {
        transfer->mode = status.st_mode & 07777;
    }
}

bool transfer_input(struct link *link, const struct request *request)
{
    struct transfer *transfer = find(request->id);
    if (!transfer || !transfer->pushing)
        return false;
    for (uint32_t done = 0; done < request->data.size;) {
        ssize_t written = write(transfer->fd, request->data.bytes + done, request->data.size - done);
        if (written < 0) {
            fail(link, transfer, "push: cannot write");
            return true;
        }
        done += (uint32_t)written;
        transfer->moved += (uint64_t)written;
    }
    reply_credit(link, transfer->id, request->data.size);
    return true;
}

bool transfer_end_input(struct link *link, uint32_t id)
{
    struct transfer *transfer = find(id);
    if (!transfer || !transfer->pushing)
        return false;
    int closing = transfer->fd;
    transfer->fd = -1;
    bool stored = fchmod(closing, transfer->mode & 07777) == 0;
    stored = close(closing) == 0 && stored && rename(transfer->partial, transfer->path) == 0;
    if (!stored) {
        fail(link, transfer, "push: cannot complete");
        return true;
    }
    free(transfer->partial);
    transfer->partial = NULL;
    reply_done(link, id, transfer->moved, transfer->mode & 07777);
    forget(transfer);
    return true;
}

bool transfer_credit(struct link *link, uint32_t id, uint64_t bytes)
{
    (void)link;
    struct transfer *transfer = find(id);
    if (transfer)
        transfer->window = bytes < WINDOW_BYTES - transfer->window ? transfer->window + bytes : WINDOW_BYTES;
    return transfer != NULL;
}

/* Sends one chunk. True if there may be another. */
static bool send_chunk(struct link *link, struct transfer *transfer)
{
    static uint8_t chunk[CHUNK_BYTES];
    size_t want = transfer->window < sizeof(chunk) ? (size_t)transfer->window : sizeof(chunk);
    ssize_t got = read(transfer->fd, chunk, want);
    if (got < 0) {
        fail(link, transfer, "fetch: cannot read");
        return false;
    }
    if (got == 0) {
        reply_done(link, transfer->id, transfer->moved, transfer->mode);
        forget(transfer);
        return false;
    }
    transfer->moved += (uint64_t)got;
    transfer->window -= (uint64_t)got;
    reply_output(link, transfer->id, "file", chunk, (uint32_t)got);
    return true;
}

bool transfer_pump(struct link *link)
{
    bool more = false;
    for (struct transfer *transfer = transfers; transfer < transfers + MAX_TRANSFERS; transfer++) {
        if (transfer->used && !transfer->pushing && transfer->window > 0 && link_has_room(link))
            more = send_chunk(link, transfer) || more;
    }
    return more;
}

void transfer_abandon_all(void)
{
    for (struct transfer *transfer = transfers; transfer < transfers + MAX_TRANSFERS; transfer++) {
        if (transfer->used)
            forget(transfer);
    }
}
