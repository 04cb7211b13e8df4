/* SPDX-License-Identifier: Apache-2.0 */
/* gc_mark: sends a mark to the guest's agent, which sends it to the host; see agent/mark.h. */
#define _GNU_SOURCE
#include "mark.h"
#include "ghostcard.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 10 };

/* Connects to the agent, with a time limit of LIMIT_SECONDS; -1 with errno. */
static int connect_to_agent(void)
{
    const char *given = getenv(GC_AGENT_VARIABLE);
    const char *name = given && *given ? given : GC_AGENT_NAME;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strnlen(name, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path + 1, name, length);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct timeval limit = {.tv_sec = LIMIT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    if (connect(fd, (struct sockaddr *)&address, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Waits until the agent closes the connection, even if signals arrive meanwhile. */
static bool wait_for_end(int fd)
{
    uint64_t deadline_ns = gc_now_ns() + LIMIT_SECONDS * UINT64_C(1000000000);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&end, 1, gc_left_ms(deadline_ns));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        errno = ETIMEDOUT;
    return ready > 0;
}

bool gc_mark(const char *format, ...)
{
    char text[GC_MARK_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length <= 0 || length > GC_MARK_BYTES) {
        errno = length > 0 ? EMSGSIZE : EINVAL;
        return false;
    }
    int fd = connect_to_agent();
    if (fd < 0 && errno == EAGAIN)
        errno = ETIMEDOUT;
    if (fd < 0)
        return errno == ECONNREFUSED; /* no agent: nothing to do */
    /* There is always room for the first message of a connection. An agent that has exited counts as none. */
    bool done = send(fd, text, (size_t)length, MSG_NOSIGNAL) < 0 ? errno == EPIPE || errno == ECONNRESET
                                                                 : wait_for_end(fd);
    int error = errno;
    close(fd);
    errno = error;
    return done;
}
