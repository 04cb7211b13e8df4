/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on single descriptors: eventfd(2), timerfd_create(2), flock(2), lseek(2), dup(2), close(2). None
 * of them blocks.
 */
#include "addon.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static bool only_fd(napi_env env, napi_callback_info info, int *fd)
{
    napi_value value;
    return arguments(env, info, 1, &value) && get_int(env, value, "descriptor", fd);
}

static napi_value make_eventfd(napi_env env, napi_callback_info info)
{
    (void)info;
    int fd = eventfd(0, EFD_CLOEXEC);
    return fd < 0 ? throw_errno(env, errno, "eventfd", NULL) : from_int(env, fd);
}

static napi_value is_eventfd(napi_env env, napi_callback_info info)
{
    int fd;
    if (!only_fd(env, info, &fd)) {
        return NULL;
    }
    char path[48], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    napi_value result;
    napi_get_boolean(env, strcmp(target, "anon_inode:[eventfd]") == 0, &result);
    return result;
}

static napi_value eventfd_add(napi_env env, napi_callback_info info)
{
    int fd;
    if (!only_fd(env, info, &fd)) {
        return NULL;
    }
    /*
     * Whether a write to a full counter blocks depends on a flag that the peer controls, so poll first. If
     * the counter is full, the peer has not read it yet and will still see the event.
     */
    struct pollfd state = {.fd = fd, .events = POLLOUT};
    const uint64_t one = 1;
    if (poll(&state, 1, 0) == 1 && (state.revents & POLLOUT) && write(fd, &one, sizeof one) < 0 &&
            errno != EAGAIN) {
        return throw_errno(env, errno, "write", "to an eventfd");
    }
    if (state.revents & POLLNVAL) {
        return throw_errno(env, EBADF, "write", "to an eventfd");
    }
    return NULL;
}

/* eventfdRead and timerfdRead: the counter since the last read, or 0. */
static napi_value read_counter(napi_env env, napi_callback_info info)
{
    int fd;
    if (!only_fd(env, info, &fd)) {
        return NULL;
    }
    uint64_t count = 0;
    struct pollfd state = {.fd = fd, .events = POLLIN};
    if (poll(&state, 1, 0) == 1 && (state.revents & POLLIN) && read(fd, &count, sizeof count) < 0 &&
            errno != EAGAIN) {
        return throw_errno(env, errno, "read", "from an eventfd or timerfd");
    }
    if (state.revents & POLLNVAL) {
        return throw_errno(env, EBADF, "read", "from an eventfd or timerfd");
    }
    napi_value result;
    napi_create_double(env, (double)count, &result);
    return result;
}

static napi_value make_timerfd(napi_env env, napi_callback_info info)
{
    (void)info;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? throw_errno(env, errno, "timerfd_create", NULL) : from_int(env, fd);
}

/* timerfdSet(fd, delayNs): expires once, delayNs from now. A negative delay disarms the timer. */
static napi_value set_timerfd(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    int fd;
    double delay_ns;
    if (!arguments(env, info, 2, values) || !get_int(env, values[0], "descriptor", &fd)) {
        return NULL;
    }
    if (napi_get_value_double(env, values[1], &delay_ns) != napi_ok || delay_ns != delay_ns ||
            delay_ns > 1e18) {
        return throw_type(env, "delayNs must be a number up to 1e18");
    }
    struct itimerspec setting = {0};
    if (delay_ns >= 0) {
        /* Zero would disarm the timer. */
        int64_t ns = delay_ns < 1 ? 1 : (int64_t)delay_ns;
        setting.it_value.tv_sec = ns / 1000000000;
        setting.it_value.tv_nsec = ns % 1000000000;
    }
    if (timerfd_settime(fd, 0, &setting, NULL) < 0) {
        return throw_errno(env, errno, "timerfd_settime", NULL);
    }
    return NULL;
}

/* flock(fd, exclusive): true if the lock was taken, false if someone else holds it. */
static napi_value lock_file(napi_env env, napi_callback_info info)
{
    napi_value values[2], result;
    int fd;
    bool exclusive;
    if (!arguments(env, info, 2, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_bool(env, values[1], "exclusive", &exclusive)) {
        return NULL;
    }
    int status = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    if (status < 0 && errno != EWOULDBLOCK) {
        return throw_errno(env, errno, "flock", NULL);
    }
    napi_get_boolean(env, status == 0, &result);
    return result;
}

/* nextExtent(fd, offset): [start, end) of the first data at or after offset; undefined if there is none. */
static napi_value next_extent(napi_env env, napi_callback_info info)
{
    napi_value values[2], result;
    int fd;
    size_t offset;
    if (!arguments(env, info, 2, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_size(env, values[1], "offset", &offset)) {
        return NULL;
    }
    off_t start = lseek(fd, (off_t)offset, SEEK_DATA);
    off_t end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
    if (start < 0 && errno == ENXIO) {
        napi_get_undefined(env, &result);
        return result;
    }
    if (end < 0) {
        return throw_errno(env, errno, "lseek", NULL);
    }
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, from_int(env, start));
    napi_set_element(env, result, 1, from_int(env, end));
    return result;
}

static napi_value duplicate(napi_env env, napi_callback_info info)
{
    int fd;
    if (!only_fd(env, info, &fd)) {
        return NULL;
    }
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return other < 0 ? throw_errno(env, errno, "fcntl", "F_DUPFD_CLOEXEC") : from_int(env, other);
}

static napi_value close_fd(napi_env env, napi_callback_info info)
{
    int fd;
    if (!only_fd(env, info, &fd)) {
        return NULL;
    }
    /* On Linux the descriptor is closed even if close() fails with EINTR. */
    if (close(fd) < 0 && errno == EBADF) {
        return throw_errno(env, errno, "close", NULL);
    }
    return NULL;
}

const struct entry descriptor_entries[] = {
        {"eventfd", make_eventfd},
        {"isEventfd", is_eventfd},
        {"eventfdWrite", eventfd_add},
        {"eventfdRead", read_counter},
        {"timerfd", make_timerfd},
        {"timerfdSet", set_timerfd},
        {"timerfdRead", read_counter},
        {"flock", lock_file},
        {"nextExtent", next_extent},
        {"duplicate", duplicate},
        {"close", close_fd},
        {NULL, NULL},
};
