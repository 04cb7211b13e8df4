/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghostcard-processes report
 * Reports to standard output which process has mapped which file where to run it, and where the code of
 * kernel modules lies, so that the host can name the function at an address, also after the process has
 * ended. For each byte on standard input, it reports everything until then, followed by a record that says
 * so. Ends with its input.
 *
 * The output are records of perf_event_open(2), each beginning with a perf_event_header: those of the kernel,
 * unchanged, and those of enum own_record. The host's side is instrumentation/symbols/process-records.ts.
 *
 * Source: perf_event_open(2), "Layout of MMAP ring buffer"; Linux Documentation/ABI/testing/sysfs-module.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* The root of commands that run on the host's files (guest-tools/host-root). */
#define HOST_ROOT "/host"

enum {
    MAX_CPUS = 64,
    RING_BYTES = 512 * 1024, /* about 4,000 mappings */
    MAX_RECORD_BYTES = UINT16_MAX,
};

/* Types of records that the kernel does not use (PERF_RECORD_USER_TYPE_START of perf). */
enum own_record {
    RECORD_END = 64,    /* struct report_end */
    RECORD_FILE = 65,   /* struct file_state: of the file in the next mapping */
    RECORD_MODULE = 66, /* text: the name, the build id or "-", then a line "SECTION ADDRESS" each */
};

/* How the path of a mapping is to be understood. */
enum whose_file {
    GONE = 0,     /* the path names another file by now, or none */
    IN_GUEST = 1, /* below this guest's root */
    ON_HOST = 2,  /* below HOST_ROOT */
};

/*
 * The end of a report. Processors are read one after the other, so there may be records already of what
 * happened after `until_ns` (CLOCK_MONOTONIC), and not all of them.
 */
struct report_end {
    uint64_t until_ns;
    uint64_t answers; /* bytes of the input that it answers */
};

struct file_state {
    uint64_t whose;
    uint64_t size_bytes;
    int64_t modified_ns;
};

static struct ring {
    int fd;
    struct perf_event_mmap_page *control;
    const uint8_t *data;
} rings[MAX_CPUS];
static int ring_count;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ghostcard-processes: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void put(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, stdout) != size)
        fail("cannot write to standard output: %s", strerror(errno));
}

static void put_record(enum own_record type, const void *body, size_t size)
{
    struct perf_event_header header = {.type = type, .size = (uint16_t)(sizeof(header) + size)};
    put(&header, sizeof(header));
    put(body, size);
}

/* An event that counts nothing: its records are what is wanted. */
static void open_ring(int cpu)
{
    struct perf_event_attr wanted = {
            .type = PERF_TYPE_SOFTWARE,
            .size = sizeof(wanted),
            .config = PERF_COUNT_SW_DUMMY,
            .sample_type = PERF_SAMPLE_TIME,
            .mmap = 1,
            .mmap2 = 1,
            .comm = 1,
            .comm_exec = 1,
            .task = 1,
            .sample_id_all = 1,
            .watermark = 1,
            .wakeup_watermark = 1,
            .use_clockid = 1,
            .clockid = CLOCK_MONOTONIC,
    };
    struct ring *ring = &rings[ring_count];
    ring->fd = (int)syscall(SYS_perf_event_open, &wanted, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (ring->fd < 0 && errno == ENODEV)
        return; /* the processor is offline */
    if (ring->fd < 0)
        fail("perf_event_open on processor %d: %s; the kernel needs CONFIG_PERF_EVENTS", cpu,
                strerror(errno));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *mapped = mmap(NULL, page + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (mapped == MAP_FAILED)
        fail("cannot map the records of processor %d: %s", cpu, strerror(errno));
    ring->control = mapped;
    ring->data = (const uint8_t *)mapped + page;
    ring_count++;
}

/* Copies from a ring, whose end may be in the middle. */
static void copy_out(const struct ring *ring, uint64_t from, void *to, size_t size)
{
    size_t at = from % RING_BYTES, first = RING_BYTES - at < size ? RING_BYTES - at : size;
    memcpy(to, ring->data + at, first);
    memcpy((uint8_t *)to + first, ring->data, size - first);
}

static int64_t modified_ns(const struct stat *file)
{
    return file->st_mtim.tv_sec * INT64_C(1000000000) + file->st_mtim.tv_nsec;
}

static bool look_at(const char *root, const char *path, uint64_t inode, struct stat *found)
{
    char whole[MAX_RECORD_BYTES + sizeof(HOST_ROOT)];
    snprintf(whole, sizeof(whole), "%s%s", root, path);
    return stat(whole, found) == 0 && found->st_ino == inode;
}

/*
 * The kernel gives the path below the root of the process, which is this guest's or HOST_ROOT, and the file's
 * device and inode. An overlay shows its files with the inodes that they have, but another device.
 */
static void put_file_state(const char *path, uint64_t device, uint64_t inode)
{
    struct stat found;
    struct file_state state = {.whose = GONE};
    if (look_at("", path, inode, &found) && found.st_dev == device)
        state.whose = IN_GUEST;
    else if (look_at(HOST_ROOT, path, inode, &found))
        state.whose = ON_HOST;
    if (state.whose != GONE) {
        state.size_bytes = (uint64_t)found.st_size;
        state.modified_ns = modified_ns(&found);
    }
    put_record(RECORD_FILE, &state, sizeof(state));
}

/* The kernel's layout of a PERF_RECORD_MMAP2 without a build id. */
struct mapping_record {
    struct perf_event_header header;
    uint32_t pid, tid;
    uint64_t start, size, file_offset;
    uint32_t major, minor;
    uint64_t inode, inode_generation;
    uint32_t protection, flags;
    char path[];
};

static void drain(const struct ring *ring)
{
    static union {
        uint8_t bytes[MAX_RECORD_BYTES + 1];
        struct perf_event_header header;
        struct mapping_record mapping;
    } record;
    uint64_t tail = ring->control->data_tail;
    uint64_t head = __atomic_load_n(&ring->control->data_head, __ATOMIC_ACQUIRE);
    while (tail < head) {
        copy_out(ring, tail, &record, sizeof(record.header));
        copy_out(ring, tail, &record, record.header.size);
        tail += record.header.size;
        __atomic_store_n(&ring->control->data_tail, tail, __ATOMIC_RELEASE);
        const struct mapping_record *mapping = &record.mapping;
        if (record.header.type == PERF_RECORD_MMAP2) {
            if (mapping->path[0] != '/' || mapping->inode == 0)
                continue; /* no file: compiled code, the vDSO */
            put_file_state(mapping->path, makedev(mapping->major, mapping->minor), mapping->inode);
        }
        put(&record, record.header.size);
    }
}

static size_t read_file(const char *path, void *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, to, size);
    if (fd >= 0)
        close(fd);
    return got < 0 ? 0 : (size_t)got;
}

/* The last 20 bytes of the note are the build id: a SHA-1. */
static void print_build_id(FILE *to, const char *module)
{
    enum { SHA1_BYTES = 20 };
    char path[512];
    uint8_t note[256];
    snprintf(path, sizeof(path), "/sys/module/%s/notes/.note.gnu.build-id", module);
    size_t size = read_file(path, note, sizeof(note));
    if (size < SHA1_BYTES)
        fputc('-', to);
    else
        for (size_t i = size - SHA1_BYTES; i < size; i++)
            fprintf(to, "%02x", note[i]);
}

/* Code that is built into the kernel has a folder in /sys/module, but no sections. */
static void report_module(const char *module)
{
    char path[512], address[32], *text;
    size_t size;
    snprintf(path, sizeof(path), "/sys/module/%s/sections", module);
    DIR *sections = opendir(path);
    if (!sections)
        return;
    FILE *report = open_memstream(&text, &size);
    if (!report)
        fail("out of memory");
    fprintf(report, "%s\n", module);
    print_build_id(report, module);
    for (struct dirent *section; (section = readdir(sections));) {
        if (!strstr(section->d_name, "text"))
            continue;
        snprintf(path, sizeof(path), "/sys/module/%s/sections/%s", module, section->d_name);
        address[read_file(path, address, sizeof(address) - 1)] = '\0';
        fprintf(report, "\n%s %.*s", section->d_name, (int)strcspn(address, "\n"), address);
    }
    closedir(sections);
    fclose(report);
    put_record(RECORD_MODULE, text, size);
    free(text);
}

static void report_present_modules(void)
{
    DIR *modules = opendir("/sys/module");
    if (!modules)
        fail("cannot list /sys/module: %s", strerror(errno));
    for (struct dirent *module; (module = readdir(modules));)
        if (module->d_name[0] != '.')
            report_module(module->d_name);
    closedir(modules);
}

/* The kernel announces a module when its init function has returned. */
static int open_announcements(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("cannot listen to the kernel's announcements of modules: %s", strerror(errno));
    return fd;
}

static void take_announcements(int fd)
{
    static const char ADDED[] = "add@/module/";
    char text[4096];
    ssize_t size;
    while ((size = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
        text[size] = '\0';
        if (strncmp(text, ADDED, sizeof(ADDED) - 1) == 0)
            report_module(text + sizeof(ADDED) - 1);
    }
}

static void report(int announcements, uint64_t answers)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    take_announcements(announcements);
    for (int i = 0; i < ring_count; i++)
        drain(&rings[i]);
    struct report_end end = {
            .until_ns = now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec, .answers = answers};
    put_record(RECORD_END, &end, sizeof(end));
    fflush(stdout);
}

static int report_until_end_of_input(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    if (cpus > MAX_CPUS)
        fail("there are %ld processors; %d are supported", cpus, MAX_CPUS);
    for (int cpu = 0; cpu < cpus; cpu++)
        open_ring(cpu);
    int announcements = open_announcements();
    report_present_modules();

    struct pollfd sources[2 + MAX_CPUS] = {
            {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = announcements, .events = POLLIN}};
    for (int i = 0; i < ring_count; i++)
        sources[2 + i] = (struct pollfd){.fd = rings[i].fd, .events = POLLIN};
    for (;;) {
        uint8_t requests[64];
        if (poll(sources, 2 + (nfds_t)ring_count, -1) < 0)
            fail("poll: %s", strerror(errno));
        ssize_t asked = sources[0].revents ? read(STDIN_FILENO, requests, sizeof(requests)) : 0;
        report(announcements, asked > 0 ? (uint64_t)asked : 0);
        if (sources[0].revents && asked <= 0)
            return 0;
    }
}

static int print_state(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0)
        fail("cannot look at %s: %s", path, strerror(errno));
    printf("%jd %jd\n", (intmax_t)found.st_size, (intmax_t)modified_ns(&found));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "report") == 0)
        return report_until_end_of_input();
    if (argc == 3 && strcmp(argv[1], "state") == 0)
        return print_state(argv[2]);
    fail("usage: ghostcard-processes report | ghostcard-processes state FILE");
}
