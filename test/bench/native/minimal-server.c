/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minimal-server SOCKET [FAULT]: the least of a vfio-user server, one client after the other: a BAR of
 * memory, configuration space, MSI-X, DMA maps. It shows that `ghostcard conformance` is for every server,
 * and is the floor of one in C.
 *
 * With the name of a FAULT it does one thing wrong, which a case of the suite finds; or it ends with its
 * client, which is right. Source: QEMU docs/interop/vfio-user.rst; Linux include/uapi/linux/vfio.h; PCI Local
 * Bus Specification 3.0.
 */
#include "wire.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    DMA_MAP = 2,
    DMA_UNMAP = 3,
    GET_INFO = 4,
    GET_REGION_INFO = 5,
    GET_REGION_IO_FDS = 6,
    GET_IRQ_INFO = 7,
    SET_IRQS = 8,
    RESET = 13,
    WRITE_MULTI = 15,
};
enum { REGIONS = 9, BAR0 = 0, CONFIG = 7, IRQ_INDEXES = 5, MSIX = 2 };
enum { BAR_BYTES = 0x10000, CONFIG_BYTES = 256, MSIX_TABLE = 0xe000, MSIX_PENDING = 0xf000 };
enum { MOST_TRANSFER = 1 << 20, MOST_MAPS = 64, MOST_FDS = 8, VECTORS = 8 };

static const char capabilities[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,"
                                   "\"max_dma_maps\":64,\"pgsizes\":4096%s}}";

/* What it can do wrong. */
static const char *const faults[] = {"accepts-any-major", "accepts-parts-of-maps", "blocks-on-full-eventfd",
        "capabilities-loop", "closes-on-oversized", "connects-any-descriptor", "crashes-on-cut-write",
        "crashes-on-half-a-message", "echoes-no-id", "ends-with-its-client", "error-with-payload",
        "ignores-booleans", "ignores-end-of-sending", "keeps-maps-of-old-clients", "leaks-interrupts",
        "leaks-maps", "needs-no-version", "no-limit-of-maps", "overlapping-maps", "replies-to-no-reply",
        "short-reads", "takes-multi-unasked", "triggers-neighbour", "wants-whole-messages",
        "wrapping-offsets", "wrong-bar-size", "wrong-region-index"};
static const char *chosen = "";

static bool fault(const char *name)
{
    return strcmp(chosen, name) == 0;
}

struct map {
    uint64_t iova, size;
    void *memory; /* NULL: reached by message */
};

/* What mmio-client reads at offset 0 of the first BAR. */
static const uint32_t reference_card_id = 0x47484331;
static uint8_t bar[BAR_BYTES], config[CONFIG_BYTES], writable[CONFIG_BYTES];
static struct map maps[MOST_MAPS];
static int map_count, interrupts[VECTORS];

/* The message that is served: its bytes behind the header, and the descriptors that came with it. */
static struct header request;
static union {
    uint8_t bytes[16 + MOST_TRANSFER];
    uint32_t words[8];
    uint64_t longs[4];
} in, out;
static uint32_t in_bytes, out_bytes;
static int fds[MOST_FDS], fd_count;
static bool too_many_fds, negotiated, multi_agreed;

static void put16(int at, uint16_t value, uint16_t mask)
{
    memcpy(config + at, &value, 2);
    memcpy(writable + at, &mask, 2);
}

static void put32(int at, uint32_t value, uint32_t mask)
{
    memcpy(config + at, &value, 4);
    memcpy(writable + at, &mask, 4);
}

static void reset_device(void)
{
    memset(bar, 0, sizeof bar);
    memcpy(bar, &reference_card_id, sizeof reference_card_id);
    memset(config, 0, sizeof config);
    memset(writable, 0, sizeof writable);
    put32(0x00, 0x0001feed, 0);
    put16(0x04, 0, 0x0406);
    put16(0x06, 0x0010, 0);
    put32(0x08, 0xff000001, 0);
    put32(0x10, 0, ~(fault("wrong-bar-size") ? BAR_BYTES / 2 - 1u : BAR_BYTES - 1u));
    config[0x34] = 0x40;
    writable[0x3c] = 0xff;
    put16(0x40, fault("capabilities-loop") ? 0x4011 : 0x0011, 0);
    put16(0x42, VECTORS - 1, 0xc000);
    put32(0x44, MSIX_TABLE | BAR0, 0);
    put32(0x48, MSIX_PENDING | BAR0, 0);
}

static void close_fds(void)
{
    for (int i = 0; i < fd_count; i++) {
        close(fds[i]);
    }
    fd_count = 0;
    too_many_fds = false;
}

static int take_fd(void)
{
    return fd_count > 0 ? fds[--fd_count] : -1;
}

static void keep_fds(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (fd_count < MOST_FDS) {
                fds[fd_count++] = fd;
            } else {
                too_many_fds = true;
                close(fd);
            }
        }
    }
}

/* All bytes; false at the end of the connection. */
static bool receive(int client, void *buffer, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        union {
            struct cmsghdr align;
            uint8_t bytes[CMSG_SPACE(253 * sizeof(int))];
        } control;
        struct iovec part = {(uint8_t *)buffer + done, bytes - done};
        struct msghdr message = {.msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof control.bytes};
        ssize_t got = recvmsg(client, &message, MSG_CMSG_CLOEXEC);
        if (got == 0 && fault("ignores-end-of-sending")) {
            struct pollfd gone = {.fd = client, .events = 0};
            poll(&gone, 1, -1); /* until the client has closed the other direction too */
        }
        if (got <= 0) {
            if (done > 0 && fault("crashes-on-half-a-message")) {
                abort();
            }
            return false;
        }
        keep_fds(&message);
        done += (size_t)got;
        if (done < bytes && fault("wants-whole-messages")) {
            return false;
        }
    }
    return true;
}

static bool transmit(int client, int error)
{
    uint32_t payload = !error ? out_bytes : fault("error-with-payload") ? 4 : 0;
    struct header header = {.id = fault("echoes-no-id") ? 0 : request.id,
            .command = request.command,
            .size = sizeof header + payload,
            .flags = FLAG_REPLY | (error ? FLAG_ERROR : 0),
            .error = (uint32_t)error};
    struct iovec parts[] = {{&header, sizeof header}, {out.bytes, payload}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    for (size_t left = header.size; left > 0;) {
        ssize_t sent = sendmsg(client, &message, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        left -= (size_t)sent;
        for (int i = 0; i < 2; i++) {
            size_t taken = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
            parts[i].iov_base = (uint8_t *)parts[i].iov_base + taken;
            parts[i].iov_len -= taken;
            sent -= (ssize_t)taken;
        }
    }
    return true;
}

static int negotiate(void)
{
    static const char name[] = "\"write_multiple\"";
    if (in_bytes < 4 || (in.words[0] & 0xffff && !fault("accepts-any-major"))) {
        return EPROTO;
    }
    const char *data = (const char *)in.bytes + 4;
    const char *found = memmem(data, in_bytes - 4, name, sizeof name - 1);
    const char *end = (const char *)in.bytes + in_bytes;
    found = found ? found + sizeof name - 1 : end;
    while (found < end && (*found == ' ' || *found == ':')) {
        found++;
    }
    multi_agreed = end - found >= 4 && memcmp(found, "true", 4) == 0;
    negotiated = true;
    out.words[0] = in.words[0] & 0xffff; /* minor version 0 */
    const char *multi = multi_agreed ? ",\"write_multiple\":true" : "";
    out_bytes = 4 + 1 + (uint32_t)snprintf((char *)out.bytes + 4, 512, capabilities, multi);
    return 0;
}

static void release_maps(void)
{
    for (int i = 0; i < map_count; i++) {
        if (maps[i].memory) {
            munmap(maps[i].memory, maps[i].size);
        }
    }
    map_count = 0;
}

/* argsz u32, flags u32, offset u64, address u64, size u64 */
static int map_memory(void)
{
    if (in_bytes < 32) {
        return EINVAL;
    }
    uint64_t offset = in.longs[1], iova = in.longs[2], size = in.longs[3], end;
    if (size == 0 || (__builtin_add_overflow(iova, size, &end) && end != 0) || too_many_fds || fd_count > 1) {
        return EINVAL;
    }
    for (int i = 0; i < map_count && !fault("overlapping-maps"); i++) {
        if (iova < maps[i].iova + maps[i].size && maps[i].iova < iova + size) {
            return EEXIST;
        }
    }
    if (map_count == MOST_MAPS) {
        return fault("no-limit-of-maps") ? 0 : ENOSPC;
    }
    struct map map = {iova, size, NULL};
    if (fd_count == 1) {
        struct stat status;
        uint64_t file_end;
        if (fstat(fds[0], &status) < 0 || __builtin_add_overflow(offset, size, &file_end) ||
                file_end > (uint64_t)status.st_size) {
            return EINVAL;
        }
        int protection = (in.words[1] & 1 ? PROT_READ : 0) | (in.words[1] & 2 ? PROT_WRITE : 0);
        map.memory = mmap(NULL, size, protection, MAP_SHARED | MAP_NORESERVE, fds[0], (off_t)offset);
        if (map.memory == MAP_FAILED) {
            return errno;
        }
        if (fault("leaks-maps")) {
            take_fd();
        }
    }
    maps[map_count++] = map;
    return 0;
}

/* argsz u32, flags u32, address u64, size u64 */
static int unmap_memory(void)
{
    if (in_bytes < 24) {
        return EINVAL;
    }
    uint64_t iova = in.longs[1], size = in.longs[2];
    for (int i = 0; i < map_count; i++) {
        bool is_part = iova >= maps[i].iova && iova - maps[i].iova < maps[i].size;
        bool matches = maps[i].iova == iova && maps[i].size == size;
        if (!matches && !(is_part && fault("accepts-parts-of-maps"))) {
            continue;
        }
        if (maps[i].memory) {
            munmap(maps[i].memory, maps[i].size);
        }
        maps[i] = maps[--map_count];
        out_bytes = 24;
        memcpy(out.bytes, in.bytes, out_bytes);
        return 0;
    }
    return EINVAL;
}

static int device_info(void)
{
    if (in_bytes < 16) {
        return EINVAL;
    }
    const uint32_t info[] = {16, 3, REGIONS, IRQ_INDEXES};
    memcpy(out.bytes, info, out_bytes = sizeof info);
    return 0;
}

static uint64_t size_of(uint32_t region)
{
    return region == BAR0 ? BAR_BYTES : region == CONFIG ? CONFIG_BYTES : 0;
}

static int region_info(void)
{
    if (in_bytes < 12 || in.words[0] < 32 || in.words[2] >= REGIONS) {
        return EINVAL;
    }
    uint32_t index = in.words[2];
    memset(out.bytes, 0, out_bytes = 32);
    out.words[0] = 32;
    out.words[1] = size_of(index) > 0 ? 3 : 0;
    out.words[2] = fault("wrong-region-index") ? 0 : index;
    out.longs[2] = size_of(index);
    return 0;
}

static int irq_info(void)
{
    if (in_bytes < 12 || in.words[0] < 16 || in.words[2] >= IRQ_INDEXES) {
        return EINVAL;
    }
    uint32_t index = in.words[2];
    const uint32_t info[] = {16, 1, index, index == MSIX ? VECTORS : 0};
    memcpy(out.bytes, info, out_bytes = sizeof info);
    return 0;
}

static void connect_vector(uint32_t vector, int fd)
{
    if (interrupts[vector] >= 0 && !fault("leaks-interrupts")) {
        close(interrupts[vector]);
    }
    interrupts[vector] = fd;
}

static void trigger(uint32_t vector)
{
    int fd = interrupts[fault("triggers-neighbour") ? (vector + 1) % VECTORS : vector];
    const uint64_t one = 1;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    /* A full eventfd would block; who has not read it knows already. */
    bool has_room = poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
    if (fd >= 0 && (has_room || fault("blocks-on-full-eventfd")) && write(fd, &one, sizeof one) < 0) {
        perror("minimal-server: triggering");
    }
}

static bool is_eventfd(int fd)
{
    char path[32], target[32] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* argsz, flags, index, start, count, data */
static int set_irqs(void)
{
    if (in_bytes < 20) {
        return EINVAL;
    }
    uint32_t flags = in.words[1], index = in.words[2], start = in.words[3], count = in.words[4];
    bool is_none = (flags & 7) == 1, is_bool = (flags & 7) == 2, is_eventfd_set = (flags & 7) == 4;
    if (!(is_none || is_bool || is_eventfd_set) || (flags & ~7u) != 0x20 || index >= IRQ_INDEXES) {
        return EINVAL; /* MSI-X is not maskable: only the action TRIGGER is left */
    }
    if (is_none && start == 0 && count == 0) {
        for (uint32_t i = 0; index == MSIX && i < VECTORS; i++) {
            connect_vector(i, -1);
        }
        return 0;
    }
    if (index != MSIX || count == 0 || start >= VECTORS || count > VECTORS - start) {
        return EINVAL;
    }
    if (is_bool && in_bytes - 20 < count) {
        return EINVAL;
    }
    if (is_eventfd_set) {
        if (too_many_fds || (fd_count != 0 && (uint32_t)fd_count != count)) {
            return EINVAL;
        }
        for (int i = 0; i < fd_count; i++) {
            if (!is_eventfd(fds[i]) && !fault("connects-any-descriptor")) {
                return EINVAL;
            }
        }
        for (uint32_t i = count; i-- > 0;) {
            connect_vector(start + i, take_fd());
        }
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_none || in.bytes[20 + i] || fault("ignores-booleans")) {
            trigger(start + i);
        }
    }
    return 0;
}

static bool is_inside(uint32_t region, uint64_t offset, uint64_t count)
{
    uint64_t size = region < REGIONS ? size_of(region) : 0;
    if (fault("wrapping-offsets")) {
        return size > 0 && offset + count <= size;
    }
    return count > 0 && count <= size && offset <= size - count;
}

static void store(uint32_t region, uint64_t offset, const uint8_t *data, uint32_t count)
{
    if (region == BAR0) {
        memcpy(bar + offset, data, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t mask = writable[offset + i];
        config[offset + i] = (uint8_t)((config[offset + i] & ~mask) | (data[i] & mask));
    }
}

/* offset u64, region u32, count u32, data */
static int read_region(void)
{
    uint32_t region = in.words[2], count = in.words[3];
    if (in_bytes < 16 || count > MOST_TRANSFER || !is_inside(region, in.longs[0], count)) {
        return EINVAL;
    }
    memcpy(out.bytes, in.bytes, 16);
    if (in.longs[0] < size_of(region)) { /* the fault is not to read at all */
        memcpy(out.bytes + 16, (region == BAR0 ? bar : config) + in.longs[0], count);
    }
    out_bytes = 16 + count - (fault("short-reads") ? 1 : 0);
    return 0;
}

static int write_region(void)
{
    if (in_bytes < 16) {
        return EINVAL;
    }
    uint32_t count = in.words[3];
    if (count > in_bytes - 16) {
        if (fault("crashes-on-cut-write")) {
            abort();
        }
        return EINVAL;
    }
    if (!is_inside(in.words[2], in.longs[0], count)) {
        return EINVAL;
    }
    if (in.longs[0] < size_of(in.words[2])) {
        store(in.words[2], in.longs[0], in.bytes + 16, count);
    }
    memcpy(out.bytes, in.bytes, out_bytes = 16);
    return 0;
}

/* number u64; for each write offset u64, region u32, count u32, 8 bytes of data */
static int write_multi(void)
{
    if (!multi_agreed && !fault("takes-multi-unasked")) {
        return EOPNOTSUPP;
    }
    if (in_bytes < 8 || in.longs[0] > (in_bytes - 8) / 24) {
        return EINVAL;
    }
    uint64_t number = in.longs[0];
    for (uint64_t i = 0; i < number; i++) {
        const uint8_t *at = in.bytes + 8 + i * 24;
        uint64_t offset;
        uint32_t region, count;
        memcpy(&offset, at, 8);
        memcpy(&region, at + 8, 4);
        memcpy(&count, at + 12, 4);
        if (count > 8 || !is_inside(region, offset, count)) {
            return EINVAL;
        }
        store(region, offset, at + 16, count);
    }
    out.longs[0] = number;
    out_bytes = 8;
    return 0;
}

static int execute(void)
{
    if (!negotiated && request.command != VERSION && !fault("needs-no-version")) {
        return EINVAL;
    }
    switch (request.command) {
    case VERSION:
        return negotiated ? EINVAL : negotiate();
    case DMA_MAP:
        return map_memory();
    case DMA_UNMAP:
        return unmap_memory();
    case GET_INFO:
        return device_info();
    case GET_REGION_INFO:
        return region_info();
    case GET_IRQ_INFO:
        return irq_info();
    case SET_IRQS:
        return set_irqs();
    case REGION_READ:
        return read_region();
    case REGION_WRITE:
        return write_region();
    case RESET:
        reset_device();
        return 0;
    case WRITE_MULTI:
        return write_multi();
    case GET_REGION_IO_FDS:
        return EOPNOTSUPP;
    default:
        return ENOSYS;
    }
}

/* Receives and serves one message; false when the connection is to end. */
static bool serve_one(int client)
{
    if (!receive(client, &request, sizeof request) || request.size < sizeof request) {
        return false;
    }
    uint32_t type = request.flags & 0xf;
    uint32_t bytes = request.size - (uint32_t)sizeof request;
    int error = 0;
    if (type > FLAG_REPLY) {
        return false;
    }
    in_bytes = bytes;
    out_bytes = 0;
    if (bytes > sizeof in.bytes) {
        if (!negotiated || fault("closes-on-oversized")) {
            return false;
        }
        error = EINVAL;
    }
    for (uint32_t part; bytes > 0; bytes -= part) {
        part = bytes < sizeof in.bytes ? bytes : (uint32_t)sizeof in.bytes;
        if (!receive(client, in.bytes, part)) {
            return false;
        }
    }
    if (type == FLAG_REPLY) { /* to a request that this server never sends */
        close_fds();
        return true;
    }
    error = error ? error : execute();
    close_fds();
    bool wants_reply = !(request.flags & FLAG_NO_REPLY) || fault("replies-to-no-reply");
    return (!wants_reply || transmit(client, error)) && negotiated;
}

static void serve(int client)
{
    negotiated = multi_agreed = false;
    while (serve_one(client)) {
    }
    close_fds();
    for (uint32_t i = 0; i < VECTORS; i++) {
        connect_vector(i, -1);
    }
    if (!fault("keeps-maps-of-old-clients")) {
        release_maps();
    }
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (strcmp(faults[i], name) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc < 2 || argc > 3 || strlen(argv[1]) >= sizeof address.sun_path ||
            (argc == 3 && !is_known(argv[2]))) {
        fprintf(stderr, "usage: minimal-server SOCKET [FAULT] (a path of at most 107 bytes)\n");
        return 2;
    }
    chosen = argc == 3 ? argv[2] : "";
    /* Who has started it may be killed: this process must end with it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!fault("connects-any-descriptor")) {
        signal(SIGPIPE, SIG_IGN);
    }
    for (int i = 0; i < VECTORS; i++) {
        interrupts[i] = -1;
    }
    reset_device();
    strcpy(address.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(listener, 16) < 0) {
        perror("minimal-server: listening");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            perror("minimal-server: accept");
            return 1;
        }
        serve(client);
        close(client);
        if (fault("ends-with-its-client")) {
            return 0;
        }
    }
}
