/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that does everything wrong on purpose, by a seed: what it does is repeated by the same seed,
 * though not when the card does its part. It goes through sysfs, past the driver that the card is bound to.
 *
 * The guest's own kernel should survive it: hostile.h says what DMA is aimed at. Wild accesses are made with
 * bus mastering off, and the card is reset before that is turned on again; messages are sent to the interrupt
 * controller as interrupts that nobody has asked for, or beyond all RAM. With --anywhere nothing of this
 * holds, and the guest may crash; the card and QEMU must not.
 *
 * One thing is left out, because QEMU aborts: setting MSI Enable while MSI-X Enable is set (docs/limits.md).
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t HEADER_BYTES = PCI_STD_HEADER_SIZEOF, CONFIG_BYTES = 4096;

static uint64_t seed = 1, step_limit = 100, seconds;
static const char *only = "";
static bool each, anywhere;

struct attack {
    struct app *app;
    struct hostile h;
    char address[GC_NAME_SIZE];
    int config;
    uint8_t header[PCI_STD_HEADER_SIZEOF];
    unsigned power, msi, msix, express; /* offsets of capabilities; 0: the card has none */
    unsigned table_bar, vectors;
    size_t table;
    const struct hostile_engine *engine;
};

/* ------------------------------------------------------------------------------------ configuration space */

/* What fails is an answer, too: the function may be gone, or asleep. */
static uint32_t config_read(struct attack *a, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    return pread(a->config, &value, size, offset) == (ssize_t)size ? value : UINT32_MAX;
}

static void config_write(struct attack *a, unsigned offset, unsigned size, uint32_t value)
{
    if (pwrite(a->config, &value, size, offset) < 0)
        return;
}

/* A file of the function. */
static const char *path_of(struct attack *a, char path[256], const char *attribute)
{
    snprintf(path, 256, "/sys/bus/pci/devices/%s/%s", a->address, attribute);
    return path;
}

/* What the kernel makes of it does not matter. */
static void say_to_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        errno = 0;
    close(fd);
}

static void say_to(struct attack *a, const char *attribute, const char *text)
{
    char path[256];
    say_to_file(path_of(a, path, attribute), text);
}

static void set_command(struct attack *a, uint16_t clear, uint16_t set)
{
    uint32_t command = config_read(a, PCI_COMMAND, 2);
    config_write(a, PCI_COMMAND, 2, (command & ~(uint32_t)clear) | set);
}

static void set_bus_master(struct attack *a, bool on)
{
    set_command(a, on ? PCI_COMMAND_INTX_DISABLE : PCI_COMMAND_MASTER,
            PCI_COMMAND_MEMORY | PCI_COMMAND_IO | (on ? PCI_COMMAND_MASTER : 0));
}

/* BARs and the rest of the header as they were found, awake, decoding, no bus mastering, no messages. */
static void restore(struct attack *a)
{
    uint32_t dword;
    if (a->power)
        config_write(a, a->power + PCI_PM_CTRL, 2, 0);
    for (unsigned at = PCI_BASE_ADDRESS_0; at < HEADER_BYTES; at += 4) {
        memcpy(&dword, a->header + at, 4);
        config_write(a, at, 4, dword);
    }
    if (a->msix)
        config_write(a, a->msix + PCI_MSIX_FLAGS, 2, 0);
    if (a->msi)
        config_write(a, a->msi + PCI_MSI_FLAGS, 2, 0);
    config_write(a, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}

/* A function-level reset, without waiting for it. */
static void reset_at_once(struct attack *a)
{
    if (a->express)
        config_write(a, a->express + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
    restore(a);
}

/* ---------------------------------------------------------------------------------------------- the card */

static unsigned capability(struct attack *a, uint8_t id)
{
    unsigned at = config_read(a, PCI_CAPABILITY_LIST, 1);
    for (unsigned seen = 0; at >= 0x40 && at < 0x100 && seen < 48; seen++) {
        if (config_read(a, at, 1) == id)
            return at;
        at = config_read(a, at + 1, 1);
    }
    return 0;
}

static void close_files(struct attack *a)
{
    for (unsigned i = 0; i < HOSTILE_BARS; i++) {
        struct hostile_bar *bar = &a->h.bars[i];
        if (bar->mapped)
            munmap((void *)bar->mapped, bar->size);
        if (bar->size)
            close(bar->fd);
        *bar = (struct hostile_bar){0};
    }
    if (a->config >= 0)
        close(a->config);
    a->config = -1;
}

static bool open_files(struct attack *a)
{
    char path[256], name[16];
    a->config = open(path_of(a, path, "config"), O_RDWR | O_CLOEXEC);
    if (a->config < 0)
        return false;
    for (unsigned i = 0; i < HOSTILE_BARS; i++) {
        struct hostile_bar *bar = &a->h.bars[i];
        struct stat about;
        snprintf(name, sizeof(name), "resource%u", i);
        bar->fd = open(path_of(a, path, name), O_RDWR | O_CLOEXEC);
        if (bar->fd < 0)
            continue;
        if (fstat(bar->fd, &about) != 0 || about.st_size == 0) {
            close(bar->fd);
            continue;
        }
        bar->size = (size_t)about.st_size;
        void *mapped = mmap(NULL, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd, 0);
        bar->mapped = mapped == MAP_FAILED ? NULL : mapped;
    }
    return true;
}

static bool find_ram(struct attack *a)
{
    char line[160];
    FILE *file = fopen("/proc/iomem", "re");
    unsigned long long first, last;
    while (file && fgets(line, sizeof(line), file))
        if (strstr(line, ": System RAM") && sscanf(line, "%llx-%llx", &first, &last) == 2)
            a->h.ram_end = last + 1;
    if (file)
        fclose(file);
    if (a->h.ram_end != 0 && (a->h.anywhere || a->h.ram_end <= HOSTILE_BEYOND_RAM))
        return true;
    return app_give_up(a->app,
            a->h.ram_end == 0 ? "/proc/iomem hides where RAM is: run this as root"
                              : "there is RAM above 3 GiB, which DMA would hit: start the guest with less "
                                "memory, or give --anywhere");
}

static bool begin(struct attack *a)
{
    struct gc_error error;
    char message[320];
    hostile_survive_refusals();
    a->h.state = seed;
    a->h.anywhere = anywhere;
    snprintf(a->address, sizeof(a->address), "%s", a->app->device);
    a->config = -1;
    if (!open_files(a)) {
        snprintf(message, sizeof(message),
                "no device '%s' on the PCI bus (%s): give its full address, as in 0000:00:04.0", a->address,
                strerror(errno));
        return app_give_up(a->app, message);
    }
    if (!find_ram(a))
        return false;
    if (!gc_physical_alloc(&a->h.memory, 2 * RING_BYTES + DATA_BYTES, &error))
        return app_give_up(a->app, error.message);
    a->h.address = gc_dma_address(&a->h.memory, 0);
    for (unsigned at = 0; at < HEADER_BYTES; at += 4) {
        uint32_t dword = config_read(a, at, 4);
        memcpy(a->header + at, &dword, 4);
    }
    a->power = capability(a, PCI_CAP_ID_PM);
    a->msi = capability(a, PCI_CAP_ID_MSI);
    a->msix = capability(a, PCI_CAP_ID_MSIX);
    a->express = capability(a, PCI_CAP_ID_EXP);
    if (a->msix) {
        uint32_t table = config_read(a, a->msix + PCI_MSIX_TABLE, 4);
        a->table_bar = table & PCI_MSIX_TABLE_BIR;
        a->table = table & PCI_MSIX_TABLE_OFFSET;
        a->vectors = (config_read(a, a->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
    }
    a->engine = hostile_engine_of(
            (uint16_t)config_read(a, PCI_VENDOR_ID, 2), (uint16_t)config_read(a, PCI_DEVICE_ID, 2));
    restore(a);
    return true;
}

/* Lets the card move data, if this program knows how. */
static void start(struct attack *a)
{
    set_bus_master(a, true);
    if (a->engine)
        a->engine->start(&a->h);
}

/* ------------------------------------------------------------------------------------------- what is wrong
 */

/* Whether bytes of a write are of a message's address or data: these are written as a whole, by `messages`.
 */
static bool is_of_message(const struct attack *a, unsigned offset, unsigned size)
{
    return a->msi && offset + size > a->msi + PCI_MSI_ADDRESS_LO && offset < a->msi + PCI_MSI_MASK_64;
}

/* The excluded case: the write would leave MSI Enable set while MSI-X Enable is. */
static bool enables_both(struct attack *a, unsigned offset, unsigned size)
{
    return a->msi && a->msix && offset + size > a->msi + PCI_MSI_FLAGS &&
           offset < a->msi + PCI_MSI_FLAGS + 2 &&
           config_read(a, a->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE;
}

static void wild_config(struct attack *a)
{
    struct hostile *h = &a->h;
    for (uint64_t left = 1 + hostile_below(h, 64); left > 0; left--) {
        unsigned size = 1u << hostile_below(h, 3);
        unsigned offset =
                (unsigned)hostile_below(h, hostile_once_in(h, 4) ? CONFIG_BYTES : 256) & ~(size - 1);
        if (hostile_once_in(h, 2)) {
            config_read(a, offset, size);
            continue;
        }
        uint32_t value = (uint32_t)hostile_number(h);
        if (!h->anywhere && is_of_message(a, offset, size))
            continue;
        if (enables_both(a, offset, size))
            continue;
        config_write(a, offset, size, value);
    }
    reset_at_once(a);
}

#ifdef __x86_64__
static const bool may_be_askew = true;
#else
static const bool may_be_askew = false; /* Device memory: the access is a fault of the program */
#endif

static void wild_bars(struct attack *a)
{
    struct hostile *h = &a->h;
    set_bus_master(a, h->anywhere);
    for (uint64_t left = 1 + hostile_below(h, 256); left > 0; left--) {
        unsigned bar = (unsigned)hostile_below(h, HOSTILE_BARS), size = 1u << hostile_below(h, 4);
        if (h->bars[bar].size == 0)
            continue;
        size_t limit = hostile_once_in(h, 2) ? h->bars[bar].size : 0x400;
        size_t offset = hostile_below(h, limit);
        bool writes = hostile_once_in(h, 2);
        if (!may_be_askew || !h->bars[bar].mapped || !hostile_once_in(h, 4))
            offset &= ~(size_t)(size - 1);
        if (writes)
            hostile_write(h, bar, offset, size, hostile_number(h));
        else
            hostile_read(h, bar, offset, size);
    }
    if (!h->anywhere)
        reset_at_once(a);
}

static void descriptors(struct attack *a)
{
    for (uint64_t left = 1 + hostile_below(&a->h, 16); left > 0; left--)
        start(a);
}

/* An address that messages may be sent to, and data for it. */
static void choose_message(struct hostile *h, uint64_t *address, uint32_t *data)
{
    *address = HOSTILE_BEYOND_RAM + (hostile_below(h, 4096) & ~UINT64_C(3));
    *data = (uint32_t)hostile_number(h);
    if (h->anywhere) {
        *address = hostile_once_in(h, 2) ? hostile_below(h, h->ram_end) : hostile_number(h);
#ifdef __x86_64__
    } else if (hostile_once_in(h, 2)) {
        *address = 0xfee00000 | hostile_below(h, 256) << 12;
        *data = 0x30 + (uint32_t)hostile_below(h, 0xb0); /* no exception, none of the kernel's own */
#endif
    }
}

static void write_entry(struct attack *a, unsigned vector)
{
    uint64_t address;
    uint32_t data;
    size_t at = a->table + vector * PCI_MSIX_ENTRY_SIZE;
    choose_message(&a->h, &address, &data);
    hostile_write(&a->h, a->table_bar, at + PCI_MSIX_ENTRY_DATA, 4, data);
    if (hostile_once_in(&a->h, 2)) {
        hostile_write(&a->h, a->table_bar, at, 8, address);
    } else {
        hostile_write(&a->h, a->table_bar, at, 4, (uint32_t)address);
        hostile_write(&a->h, a->table_bar, at + PCI_MSIX_ENTRY_UPPER_ADDR, 4, address >> 32);
    }
    hostile_write(&a->h, a->table_bar, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4,
            hostile_once_in(&a->h, 4) ? hostile_number(&a->h) : hostile_below(&a->h, 2));
}

/* Scribbles on the MSI-X table, or on the MSI capability, while the card interrupts. */
static void messages(struct attack *a)
{
    struct hostile *h = &a->h;
    bool is_msix = a->msix && (!a->msi || !hostile_once_in(h, 4));
    for (unsigned vector = 0; is_msix && vector < a->vectors; vector++)
        write_entry(a, vector);
    for (uint64_t left = 1 + hostile_below(h, 64); left > 0 && (a->msi || a->msix); left--) {
        uint64_t address;
        uint32_t data;
        if (is_msix) {
            config_write(a, a->msix + PCI_MSIX_FLAGS, 2,
                    (hostile_once_in(h, 8) ? 0 : PCI_MSIX_FLAGS_ENABLE) |
                            (hostile_once_in(h, 4) ? PCI_MSIX_FLAGS_MASKALL : 0));
            write_entry(a, (unsigned)hostile_below(h, a->vectors));
        } else {
            unsigned flags = config_read(a, a->msi + PCI_MSI_FLAGS, 2);
            bool is_wide = flags & PCI_MSI_FLAGS_64BIT;
            choose_message(h, &address, &data);
            config_write(a, a->msi + PCI_MSI_FLAGS, 2, 0);
            config_write(a, a->msi + PCI_MSI_ADDRESS_LO, 4, (uint32_t)address);
            if (is_wide)
                config_write(a, a->msi + PCI_MSI_ADDRESS_HI, 4, (uint32_t)(address >> 32));
            /* The number of the vector takes the place of the low bits. */
            config_write(a, a->msi + (is_wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, data & 0xffff);
            config_write(a, a->msi + PCI_MSI_FLAGS, 2,
                    PCI_MSI_FLAGS_ENABLE | ((uint32_t)hostile_below(h, 6) << 4 & PCI_MSI_FLAGS_QSIZE));
        }
        set_bus_master(a, true);
        if (a->engine && a->engine->raise && hostile_once_in(h, 2))
            a->engine->raise(h);
        else
            start(a);
    }
    restore(a);
}

/* A secondary bus reset by the port that the card is behind. */
static void reset_bus(struct attack *a)
{
    char path[256];
    int port = open(path_of(a, path, "../config"), O_RDWR | O_CLOEXEC);
    uint16_t control;
    if (port < 0)
        return;
    if (pread(port, &control, 2, PCI_BRIDGE_CONTROL) == 2) {
        const uint16_t values[] = {control | PCI_BRIDGE_CTL_BUS_RESET, control};
        for (unsigned i = 0; i < 2; i++)
            if (pwrite(port, &values[i], 2, PCI_BRIDGE_CONTROL) != 2)
                break;
    }
    close(port);
}

static void resets(struct attack *a)
{
    static const char *const METHODS[] = {"flr", "bus", "pm", "default"};
    start(a);
    switch (hostile_below(&a->h, 8)) {
    case 0:
        say_to(a, "reset_method", METHODS[hostile_below(&a->h, 4)]);
        say_to(a, "reset", "1");
        break;
    case 1:
    case 2:
        reset_bus(a);
        break;
    default:
        reset_at_once(a);
    }
    restore(a);
}

static void bus_master(struct attack *a)
{
    for (uint64_t left = 1 + hostile_below(&a->h, 32); left > 0; left--) {
        start(a);
        set_command(a, PCI_COMMAND_MASTER | (hostile_once_in(&a->h, 4) ? PCI_COMMAND_MEMORY : 0), 0);
        if (hostile_once_in(&a->h, 2))
            start(a);
    }
}

static void rebind(struct attack *a)
{
    static const char *const DRIVERS[] = {
            "uio_pci_generic", "vfio-pci", "none", "uio_pdrv_genirq", "uio_dmem_genirq", "vfio-platform"};
    char command[200];
    start(a);
    snprintf(command, sizeof(command), "ghostcard-bind %s %s >/dev/null 2>&1", a->address,
            DRIVERS[hostile_below(&a->h, sizeof(DRIVERS) / sizeof(DRIVERS[0]))]);
    if (system(command) < 0)
        return;
    start(a);
}

/* With uio_pci_generic the kernel takes each, and masks it in the command register. */
static void intx(struct attack *a)
{
    for (uint64_t left = 1 + hostile_below(&a->h, 64); left > 0; left--) {
        set_bus_master(a, true);
        if (a->engine && a->engine->raise)
            a->engine->raise(&a->h);
        else
            start(a);
        if (hostile_once_in(&a->h, 4))
            set_command(a, 0, PCI_COMMAND_INTX_DISABLE);
    }
}

static void power(struct attack *a)
{
    start(a);
    for (uint64_t left = 1 + hostile_below(&a->h, 16); left > 0 && a->power; left--) {
        config_write(a, a->power + PCI_PM_CTRL, 2,
                (uint32_t)hostile_below(&a->h, 4) | (hostile_once_in(&a->h, 4) ? PCI_PM_CTRL_PME_ENABLE : 0));
        if (a->engine)
            a->engine->start(&a->h);
        hostile_read(&a->h, (unsigned)hostile_below(&a->h, HOSTILE_BARS), 0, 4);
    }
    restore(a);
}

/* The kernel forgets the function in mid-transfer, and finds it again. */
static void rescan(struct attack *a)
{
    start(a);
    say_to(a, "remove", "1");
    close_files(a);
    say_to_file("/sys/bus/pci/rescan", "1");
    struct gc_error error;
    if (!open_files(a)) {
        gc_fail(&error, "%s was removed, and a rescan of the bus did not find it again", a->address);
        app_give_up(a->app, error.message);
        return;
    }
    for (unsigned at = 0; at < HEADER_BYTES; at += 4) {
        uint32_t dword = config_read(a, at, 4);
        memcpy(a->header + at, &dword, 4);
    }
    restore(a);
}

static const struct {
    const char *name;
    void (*act)(struct attack *a);
    unsigned weight; /* slow ones are rare */
} KINDS[] = {
        {"config", wild_config, 8},
        {"bars", wild_bars, 8},
        {"descriptors", descriptors, 8},
        {"messages", messages, 4},
        {"resets", resets, 8},
        {"bus-master", bus_master, 4},
        {"rebind", rebind, 1},
        {"intx", intx, 4},
        {"power", power, 4},
        {"rescan", rescan, 1},
};
enum { KIND_COUNT = sizeof(KINDS) / sizeof(KINDS[0]) };

/* ----------------------------------------------------------------------------------------------- the run */

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

static unsigned choose_kind(struct attack *a)
{
    unsigned total = 0;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        total += *only == '\0' || is_listed(only, KINDS[kind].name) ? KINDS[kind].weight : 0;
    uint64_t at = hostile_below(&a->h, total);
    for (unsigned kind = 0;; kind++) {
        unsigned weight = *only == '\0' || is_listed(only, KINDS[kind].name) ? KINDS[kind].weight : 0;
        if (at < weight)
            return kind;
        at -= weight;
    }
}

static void run(struct attack *a)
{
    uint64_t counts[KIND_COUNT] = {0}, steps = 0;
    const uint64_t end_ns = a->app->started_ns + seconds * UINT64_C(1000000000);
    while (!a->app->cannot_go_on && (seconds ? gc_now_ns() < end_ns : steps < step_limit)) {
        /* Each step has numbers of its own, so that it is the same whatever the card made of those before. */
        a->h.state = seed * UINT64_C(0x9e3779b97f4a7c15) + steps * UINT64_C(0xd1b54a32d192ed03);
        unsigned kind = choose_kind(a);
        if (each)
            app_say(a->app, "step %" PRIu64 " of seed %" PRIu64 ": %s\n", steps, seed, KINDS[kind].name);
        KINDS[kind].act(a);
        counts[kind]++;
        steps++;
    }
    reset_at_once(a);
    app_say(a->app, "seed %" PRIu64 ": %" PRIu64 " steps\n", seed, steps);
    app_json_number(a->app, "steps", steps);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        app_say(a->app, "  %-12s %" PRIu64 "\n", KINDS[kind].name, counts[kind]);
        app_json_number(a->app, KINDS[kind].name, counts[kind]);
    }
}

/* Whatever was done to it, the card still says who it is. */
static void check_identity(struct attack *a)
{
    uint32_t ids, seen = config_read(a, PCI_VENDOR_ID, 4);
    memcpy(&ids, a->header, 4);
    app_check(a->app, seen == ids, "the function answers as 0x%08x (before: 0x%08x)", seen, ids);
}

static bool take_number(const char *value, uint64_t *number)
{
    char *end = NULL;
    *number = value ? strtoull(value, &end, 0) : 1;
    return !value || (end != value && *end == '\0');
}

static bool is_list_of_kinds(const char *list)
{
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        bool known = false;
        for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
            size_t length = strlen(KINDS[kind].name);
            known = known ||
                    (strncmp(at, KINDS[kind].name, length) == 0 && (at[length] == ',' || at[length] == '\0'));
        }
        if (!known)
            return false;
    }
    return true;
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--anywhere") == 0)
        return anywhere = true;
    if (strcmp(name, "--each") == 0)
        return each = true;
    *takes_value = true;
    if (strcmp(name, "--seed") == 0)
        return take_number(value, &seed);
    if (strcmp(name, "--steps") == 0)
        return take_number(value, &step_limit);
    if (strcmp(name, "--seconds") == 0)
        return take_number(value, &seconds) && seconds > 0;
    if (strcmp(name, "--only") == 0) {
        only = value ? value : "";
        return !value || is_list_of_kinds(value);
    }
    return *takes_value = false;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-hostile", "does everything wrong to a card, by a seed",
            "[--seed N] [--steps N | --seconds N] [--each] [--anywhere]\n"
            "                  [--only KIND,...]: config, bars, descriptors, messages, resets, bus-master, "
            "rebind, "
            "intx, power,\n"
            "                  rescan",
            take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    struct attack attack = {.app = &app};
    if (app.device[0] == '\0')
        app_give_up(&app, "which card? Give its PCI address by --device");
    if (!app.cannot_go_on && begin(&attack)) {
        run(&attack);
        check_identity(&attack);
        close_files(&attack);
        gc_physical_free(&attack.h.memory);
    }
    return app_end(&app);
}
