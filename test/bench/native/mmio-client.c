/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio-client SOCKET vfio-user|echo ACCESS SAMPLES: times register accesses over a socket, for a client that
 * blocks in the kernel until the reply arrives.
 *
 *   steady   a sample is one 32-bit read; the next follows at once
 *   bursts   the same, with a pause of 2 ms after every 16 reads
 *   lone     the same, with a pause of 5 ms before every read
 *   posted   a sample is 32 writes without reply and one read after them
 *
 * Prints nanoseconds as JSON. vfio-user: negotiates the version and enables memory decoding first; the
 * register read is BAR 0, offset 0, and its value is checked. echo: the same bytes, against echo-server.
 */
#include "wire.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TIME_LIMIT_S = 60, WARM_UP = 500, WRITES_POSTED = 32, MAX_SAMPLES = 10000000 };
enum {
    CONFIG_REGION = 7,
    COMMAND_REGISTER = 4,
    MEMORY_SPACE_ENABLE = 2,
    ID_OFFSET = 0,
    SCRATCH_OFFSET = 0xc
};
static const uint32_t reference_card_id = 0x47484331;

struct pattern {
    const char *name;
    unsigned reads_between_pauses; /* 0: no pauses */
    unsigned pause_us;
    bool posted;
};

static const struct pattern patterns[] = {
        {"steady", 0, 0, false},
        {"bursts", 16, 2000, false},
        {"lone", 1, 5000, false},
        {"posted", 0, 0, true},
};

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "mmio-client: ");
    perror(what);
    exit(1);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    static const char text[] = "mmio-client: not done within its time limit of 60 s\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void send_all(int fd, const void *bytes, size_t size)
{
    if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) {
        fail("sending a request");
    }
}

static void receive_all(int fd, void *bytes, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = recv(fd, (uint8_t *)bytes + have, size - have, 0);
        if (got <= 0) {
            fail(got == 0 ? "the server closed the connection" : "receiving a reply");
        }
        have += (size_t)got;
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "mmio-client: %s is longer than 107 bytes\n", path);
        exit(2);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        fail("connecting");
    }
    return fd;
}

static struct access access_to(uint16_t command, uint32_t region, uint64_t offset, uint32_t count)
{
    return (struct access){
            .header = {.command = command,
                    .size = BYTES_WITHOUT_DATA + (command == REGION_WRITE ? count : 0)},
            .offset = offset,
            .region = region,
            .count = count,
    };
}

/* What QEMU does before the guest can read a register: version, and Memory Space Enable. */
static void negotiate(int fd)
{
    struct {
        struct header header;
        uint16_t major, minor;
    } version = {.header = {.command = VERSION, .size = sizeof version}};
    send_all(fd, &version, sizeof version);
    struct header reply;
    receive_all(fd, &reply, sizeof reply);
    uint8_t payload[4096];
    if (reply.size < sizeof reply || reply.size - sizeof reply > sizeof payload ||
            (reply.flags & FLAG_ERROR)) {
        fprintf(stderr, "mmio-client: VERSION was answered with %u bytes, flags %#x\n", reply.size,
                reply.flags);
        exit(1);
    }
    receive_all(fd, payload, reply.size - sizeof reply);

    struct access enable = access_to(REGION_WRITE, CONFIG_REGION, COMMAND_REGISTER, 2);
    enable.data = MEMORY_SPACE_ENABLE;
    send_all(fd, &enable, enable.header.size);
    struct access enabled;
    receive_all(fd, &enabled, BYTES_WITHOUT_DATA);
    if (enabled.header.flags & FLAG_ERROR) {
        fprintf(stderr, "mmio-client: the command register was refused, error %u\n", enabled.header.error);
        exit(1);
    }
}

static uint32_t read_register(int fd, uint16_t id)
{
    struct access request = access_to(REGION_READ, 0, ID_OFFSET, 4);
    request.header.id = id;
    send_all(fd, &request, request.header.size);
    struct access reply;
    receive_all(fd, &reply, sizeof reply);
    if (reply.header.id != id || reply.header.size != sizeof reply || (reply.header.flags & FLAG_ERROR)) {
        fprintf(stderr, "mmio-client: read %u was answered with id %u, %u bytes, flags %#x\n", id,
                reply.header.id, reply.header.size, reply.header.flags);
        exit(1);
    }
    return reply.data;
}

static void post_write(int fd, uint16_t id)
{
    struct access request = access_to(REGION_WRITE, 0, SCRATCH_OFFSET, 4);
    request.header.id = id;
    request.header.flags = FLAG_NO_REPLY;
    request.data = id;
    send_all(fd, &request, sizeof request);
}

static int ascending(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    const struct pattern *pattern = NULL;
    long samples = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
    for (size_t i = 0; argc == 5 && i < sizeof patterns / sizeof patterns[0]; i++) {
        if (strcmp(argv[3], patterns[i].name) == 0) {
            pattern = &patterns[i];
        }
    }
    if (pattern == NULL || samples < 1 || samples > MAX_SAMPLES) {
        fprintf(stderr, "usage: mmio-client SOCKET vfio-user|echo steady|bursts|lone|posted SAMPLES\n");
        return 2;
    }
    signal(SIGALRM, on_alarm);
    alarm(TIME_LIMIT_S);
    bool speaks_vfio_user = strcmp(argv[2], "vfio-user") == 0;
    int fd = connect_to(argv[1]);
    if (speaks_vfio_user) {
        negotiate(fd);
    }
    uint64_t *durations_ns = calloc((size_t)samples, sizeof *durations_ns);
    if (durations_ns == NULL) {
        fail("memory for the samples");
    }
    long warm_up = pattern->pause_us ? WARM_UP / 10 : WARM_UP;
    for (long i = -warm_up; i < samples; i++) {
        if (pattern->pause_us && i % pattern->reads_between_pauses == 0) {
            usleep(pattern->pause_us);
        }
        uint64_t started_ns = now_ns();
        for (unsigned write = 0; pattern->posted && write < WRITES_POSTED; write++) {
            post_write(fd, (uint16_t)write);
        }
        uint32_t value = read_register(fd, (uint16_t)i);
        uint64_t duration_ns = now_ns() - started_ns;
        if (speaks_vfio_user && value != reference_card_id) {
            fprintf(stderr, "mmio-client: ID reads %#x; the reference card has %#x\n", value,
                    reference_card_id);
            return 1;
        }
        if (i >= 0) {
            durations_ns[i] = duration_ns;
        }
    }
    qsort(durations_ns, (size_t)samples, sizeof *durations_ns, ascending);
    printf("{\"samples\":%ld,\"min\":%llu,\"p50\":%llu,\"p99\":%llu,\"max\":%llu}\n", samples,
            (unsigned long long)durations_ns[0], (unsigned long long)durations_ns[samples / 2],
            (unsigned long long)durations_ns[samples - 1 - samples / 100],
            (unsigned long long)durations_ns[samples - 1]);
    return 0;
}
