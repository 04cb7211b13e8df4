/* SPDX-License-Identifier: Apache-2.0 */
/* gc_mark: asks the guest's agent, which asks the host; see agent/mark.h. */
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

enum { ANSWER_SECONDS = 10 };

/* A connection to the agent, on which no call takes longer than its limit; -1 with errno. */
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
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    if (connect(fd, (struct sockaddr *)&address, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
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
    if (fd < 0)
        return errno != EAGAIN && errno != EINTR; /* no agent, nobody who would want to know */
    char none;
    bool done = send(fd, text, (size_t)length, MSG_NOSIGNAL) < 0
                        ? errno != EAGAIN
                        : recv(fd, &none, 1, 0) >= 0 || errno != EAGAIN;
    close(fd);
    if (!done)
        errno = ETIMEDOUT;
    return done;
}
