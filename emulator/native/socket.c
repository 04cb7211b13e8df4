/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNIX stream sockets with descriptor passing. Node's own sockets drop passed descriptors, which is why this
 * addon exists. See unix(7), cmsg(3). All sockets are non-blocking and close-on-exec.
 */
#include "addon.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * The kernel's limit for one message (SCM_MAX_FD), so that descriptors are never truncated for lack of room.
 */
enum { MAX_DESCRIPTORS = 253, ATTEMPTS_BETWEEN_CLOCK_READS = 8 };

static int stream_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool get_address(napi_env env, napi_value value, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    return get_string(env, value, "the path of a UNIX socket", address->sun_path, sizeof address->sun_path);
}

static napi_value socket_failure(napi_env env, int fd, const char *syscall, const char *path)
{
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    return throw_errno(env, error, syscall, path);
}

static napi_value listen_at(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct sockaddr_un address;
    int backlog;
    if (!arguments(env, info, 2, values) || !get_address(env, values[0], &address) ||
            !get_int(env, values[1], "backlog", &backlog)) {
        return NULL;
    }
    int fd = stream_socket();
    if (fd < 0) {
        return socket_failure(env, fd, "socket", address.sun_path);
    }
    /* The mode of a socket becomes that of its file: for this user only, whatever the umask. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        return socket_failure(env, fd, "bind", address.sun_path);
    }
    if (listen(fd, backlog) < 0) {
        return socket_failure(env, fd, "listen", address.sun_path);
    }
    return from_int(env, fd);
}

static napi_value peer_user(napi_env env, napi_callback_info info)
{
    napi_value value;
    int fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (!arguments(env, info, 1, &value) || !get_int(env, value, "descriptor", &fd)) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return throw_errno(env, errno, "getsockopt", "SO_PEERCRED");
    }
    return from_int(env, peer.uid);
}

static napi_value accept_from(napi_env env, napi_callback_info info)
{
    napi_value value;
    int listener;
    if (!arguments(env, info, 1, &value) || !get_int(env, value, "descriptor", &listener)) {
        return NULL;
    }
    int fd;
    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0 && errno != EAGAIN) {
        return throw_errno(env, errno, "accept4", NULL);
    }
    return from_int(env, fd < 0 ? WOULD_BLOCK : fd);
}

static napi_value connect_to(napi_env env, napi_callback_info info)
{
    napi_value value;
    struct sockaddr_un address;
    if (!arguments(env, info, 1, &value) || !get_address(env, value, &address)) {
        return NULL;
    }
    int fd = stream_socket();
    if (fd < 0) {
        return socket_failure(env, fd, "socket", address.sun_path);
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        return socket_failure(env, fd, "connect", address.sun_path);
    }
    return from_int(env, fd);
}

static napi_value make_pair(napi_env env, napi_callback_info info)
{
    (void)info;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return throw_errno(env, errno, "socketpair", NULL);
    }
    napi_value result;
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, from_int(env, fds[0]));
    napi_set_element(env, result, 1, from_int(env, fds[1]));
    return result;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Receives what has arrived. If nothing has, retries until the spin time is over. */
static ssize_t receive_spinning(int fd, struct msghdr *message, int spin_us)
{
    const size_t control_length = message->msg_controllen;
    uint64_t deadline = 0;
    for (unsigned attempt = 1;; attempt++) {
        message->msg_controllen = control_length;
        ssize_t got = recvmsg(fd, message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return got;
        }
        if (spin_us <= 0) {
            errno = EAGAIN;
            return WOULD_BLOCK;
        }
        if (deadline == 0) {
            deadline = now_ns() + (uint64_t)spin_us * 1000u;
        } else if (attempt % ATTEMPTS_BETWEEN_CLOCK_READS == 0) {
            if (now_ns() >= deadline) {
                errno = EAGAIN;
                return WOULD_BLOCK;
            }
            /* The client may need this very CPU. */
            sched_yield();
        }
    }
}

/*
 * Stores descriptors in words[2...] and their number in words[0]. Those without room are closed and reported
 * as lost.
 */
static void take_descriptors(struct msghdr *message, int32_t *words, size_t room)
{
    bool lost = (message->msg_flags & MSG_CTRUNC) != 0;
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (count < room) {
                words[2 + count++] = fd;
            } else {
                close(fd);
                lost = true;
            }
        }
    }
    words[0] = (int32_t)count;
    words[1] = lost;
}

/* receive(fd, buffer, start, end, descriptors, spinUs): the hot path, so it does not allocate. */
static napi_value receive(napi_env env, napi_callback_info info)
{
    napi_value values[6];
    uint8_t *bytes;
    int32_t *words;
    size_t length, word_count;
    int fd, start, end, spin_us;
    if (!arguments(env, info, 6, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_bytes(env, values[1], "buffer", &bytes, &length) ||
            !get_int(env, values[2], "start", &start) || !get_int(env, values[3], "end", &end) ||
            !get_words(env, values[4], "descriptors", &words, &word_count) ||
            !get_int(env, values[5], "spinUs", &spin_us)) {
        return NULL;
    }
    if (start < 0 || end <= start || (size_t)end > length || word_count < 2) {
        return throw_type(
                env, "receive needs 0 <= start < end <= buffer.length and at least 2 descriptor words");
    }
    union {
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
        struct cmsghdr alignment;
    } control;
    struct iovec part = {.iov_base = bytes + start, .iov_len = (size_t)(end - start)};
    struct msghdr message = {
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = control.space,
            .msg_controllen = sizeof control.space,
    };
    words[0] = words[1] = 0;
    ssize_t got = receive_spinning(fd, &message, spin_us);
    if (got < 0 && errno != EAGAIN) {
        return throw_errno(env, errno, "recvmsg", NULL);
    }
    if (got >= 0 && (message.msg_controllen > 0 || (message.msg_flags & MSG_CTRUNC))) {
        take_descriptors(&message, words, word_count - 2);
    }
    return from_int(env, got);
}

/* send(fd, buffer, start, end, payload?, descriptors?): one sendmsg with one or two parts. */
static napi_value send_parts(napi_env env, napi_callback_info info)
{
    napi_value values[6];
    uint8_t *bytes, *payload = NULL;
    int32_t *words = NULL;
    size_t length, payload_length = 0, word_count = 0;
    int fd, start, end;
    if (!arguments(env, info, 6, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_bytes(env, values[1], "buffer", &bytes, &length) ||
            !get_int(env, values[2], "start", &start) || !get_int(env, values[3], "end", &end)) {
        return NULL;
    }
    if ((!is_undefined(env, values[4]) && !get_bytes(env, values[4], "payload", &payload, &payload_length)) ||
            (!is_undefined(env, values[5]) &&
                    !get_words(env, values[5], "descriptors", &words, &word_count))) {
        return NULL;
    }
    if (start < 0 || end < start || (size_t)end > length || word_count > MAX_DESCRIPTORS) {
        return throw_type(env, "send needs 0 <= start <= end <= buffer.length and at most 253 descriptors");
    }
    union {
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
        struct cmsghdr alignment;
    } control;
    struct iovec parts[2] = {
            {.iov_base = bytes + start, .iov_len = (size_t)(end - start)},
            {.iov_base = payload, .iov_len = payload_length},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload_length > 0 ? 2 : 1};
    if (word_count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * word_count);
        memset(control.space, 0, message.msg_controllen);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * word_count);
        memcpy(CMSG_DATA(header), words, sizeof(int) * word_count);
    }
    ssize_t taken;
    do {
        taken = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0 && errno != EAGAIN) {
        return throw_errno(env, errno, "sendmsg", NULL);
    }
    return from_int(env, taken < 0 ? WOULD_BLOCK : taken);
}

const struct entry socket_entries[] = {
        {"listen", listen_at},
        {"accept", accept_from},
        {"peerUser", peer_user},
        {"connect", connect_to},
        {"socketpair", make_pair},
        {"receive", receive},
        {"send", send_parts},
        {NULL, NULL},
};
