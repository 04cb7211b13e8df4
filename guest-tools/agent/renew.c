/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a restored machine its own time, randomness and name; see renew.h. */
#define _GNU_SOURCE
#include "renew.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ENTROPY_BYTES = 512 };

static bool set_clock(uint64_t realtime_ms)
{
    struct timespec now = {
            .tv_sec = (time_t)(realtime_ms / 1000), .tv_nsec = (long)(realtime_ms % 1000) * 1000000};
    return clock_settime(CLOCK_REALTIME, &now) == 0;
}

/*
 * Mixes the bytes in, credits eight bits of entropy for each, and makes the random number generator reseed at
 * once. Otherwise it would continue from the state that all restored machines share, until its next
 * reseeding.
 */
static bool add_entropy(struct slice entropy)
{
    struct {
        struct rand_pool_info head;
        uint8_t bytes[MAX_ENTROPY_BYTES];
    } pool = {.head = {.entropy_count = (int)entropy.size * 8, .buf_size = (int)entropy.size}};
    memcpy(pool.bytes, entropy.bytes, entropy.size);
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    bool added = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return added;
}

static bool set_host_name(struct slice name)
{
    return sethostname((const char *)name.bytes, name.size) == 0;
}

void renew(struct link *link, const struct request *request)
{
    if (link->kind != LINK_PORT)
        reply_failed(
                link, request->id, EPERM, "renew: this agent is not in a guest with a virtio-serial port");
    else if (!request->realtime_ms || !request->hostname.bytes || !request->entropy.bytes)
        reply_failed(link, request->id, EINVAL, "renew: realtimeMs, entropy and hostname are required");
    else if (request->entropy.size > MAX_ENTROPY_BYTES)
        reply_failed(link, request->id, EINVAL, "renew: %u bytes of entropy exceed the limit of %d",
                request->entropy.size, MAX_ENTROPY_BYTES);
    else if (!set_clock(request->realtime_ms))
        reply_failed(link, request->id, errno, "renew: cannot set the clock");
    else if (!add_entropy(request->entropy))
        reply_failed(link, request->id, errno, "renew: cannot reseed the random number generator");
    else if (!set_host_name(request->hostname))
        reply_failed(link, request->id, errno, "renew: cannot set a host name of %u bytes",
                request->hostname.size);
    else
        reply_renewed(link, request->id);
}
