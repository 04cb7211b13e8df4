/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin for QEMU's TCG that observes the guest's processors: each access of a card's BAR, with the place
 * in the driver and the process, and who wrote each eight bytes of RAM last. It writes into a file that it
 * shares with ghostcard, as it happens: after a kill, everything up to then is there (layout.h).
 *
 * Every store and load of the guest calls this plugin, so the common one must be cheap: a table by virtual
 * page says that it is RAM, and where its shadow is. The table is emptied when the guest changes its page
 * tables.
 *
 * QEMU's header is in no package, so what is used of it is declared here, and of GLib, whose arrays QEMU
 * takes.
 *
 * Sources: QEMU include/plugins/qemu-plugin.h (version 7); Intel SDM volume 2 (MOV to control registers,
 * INVLPG, INVPCID); Arm ARM DDI 0487, C5 (MSR, TLBI) and C6 (DSB); Linux arch/arm64/kernel/entry.S (sp_el0).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "layout.h"

/* GLib. */
typedef struct {
    uint8_t *data;
    unsigned int len;
} GByteArray;
typedef struct {
    char *data;
    unsigned int len;
} GArray;
extern GByteArray *g_byte_array_new(void);
extern GByteArray *g_byte_array_set_size(GByteArray *array, unsigned int length);
extern char *g_array_free(GArray *array, int free_segment);

/* QEMU. */
enum { NO_REGS, READS_REGS };
enum { LOADS = 1, STORES = 2 };
struct qemu_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};
struct tb;
struct insn;
struct hwaddr;
struct reg;
struct reg_descriptor {
    struct reg *handle;
    const char *name;
    const char *feature;
    bool is_readonly;
};
struct mem_value {
    int type;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct {
            uint64_t low, high;
        } u128;
    } data;
};
typedef void vcpu_callback(unsigned int vcpu, void *userdata);
typedef void mem_callback(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *userdata);
typedef void tb_callback(struct tb *tb, void *userdata);
extern void qemu_plugin_register_vcpu_init_cb(uint64_t id, vcpu_callback *callback, void *userdata);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_callback *callback, void *userdata);
extern void qemu_plugin_register_vcpu_insn_exec_cb(
        struct insn *insn, vcpu_callback *callback, int flags, void *userdata);
extern void qemu_plugin_register_vcpu_mem_cb(
        struct insn *insn, mem_callback *callback, int flags, int rw, void *userdata);
extern size_t qemu_plugin_tb_n_insns(const struct tb *tb);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t index);
extern size_t qemu_plugin_insn_data(const struct insn *insn, void *bytes, size_t length);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
extern unsigned int qemu_plugin_mem_size_shift(uint32_t info);
extern bool qemu_plugin_mem_is_store(uint32_t info);
extern struct mem_value qemu_plugin_mem_get_value(uint32_t info);
extern struct hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
extern bool qemu_plugin_hwaddr_is_io(const struct hwaddr *address);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct hwaddr *address);
extern const char *qemu_plugin_hwaddr_device_name(const struct hwaddr *address);
extern GArray *qemu_plugin_get_registers(void);
extern bool qemu_plugin_read_register(struct reg *handle, GByteArray *bytes);
extern bool qemu_plugin_read_memory_vaddr(uint64_t address, GByteArray *bytes, size_t length);
extern int qemu_plugin_read_memory_hwaddr(uint64_t address, GByteArray *bytes, size_t length);

#define EXPORTED __attribute__((visibility("default")))
#define RARE(condition) __builtin_expect(!!(condition), 0)

EXPORTED int qemu_plugin_version = 7;

enum { TLB_ENTRIES = 4096, PAGE_SHIFT = 12, GENERAL_REGISTERS = 32 };

struct tlb_entry {
    uint64_t page;
    uint64_t epoch;
    /* Shadow of the page's first eight bytes. */
    uint64_t *shadow;
};

struct vcpu {
    /* Entries of another epoch are not valid. Other virtual processors advance it too (arm64). */
    uint64_t tlb_epoch;
    /* Its bits in a mark. */
    uint64_t mark;
    struct observer_ring *ring;
    struct observer_record *records;
    /* Between a TLBI and the DSB that completes it. */
    bool has_invalidated;
    /* arm64: the address of its task_struct; 0: not known. */
    uint64_t task;
    /* The process of its page tables, once it is known. */
    uint32_t pid;
    bool has_pid;
    GByteArray *bytes;
    struct {
        struct reg *gs_base, *kernel_gs_base, *rsp;
        struct reg *x[GENERAL_REGISTERS];
    } reg;
    /* Apart, so that the first store to a page is noticed after loads. */
    struct tlb_entry loads[TLB_ENTRIES], stores[TLB_ENTRIES];
} __attribute__((aligned(64)));

static struct observer_header *shared;
static uint64_t *places;
static char (*devices)[OBSERVER_DEVICE_NAME_BYTES];
static struct vcpu vcpus[OBSERVER_MAX_VCPUS];
static bool is_arm64;
/* Where stores go that have no shadow. */
static uint64_t no_shadow[1 << (PAGE_SHIFT - 3)];

static bool in_kernel(uint64_t address)
{
    return address >> 63;
}

/* ---- places of code: an address has one number, however often it is translated ---- */

static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
/* Open addressing, number 0 is free. */
static uint32_t *place_of_hash;
enum { HASH_SLOTS = 2 * OBSERVER_MAX_PLACES };

static uint32_t place_of(uint64_t pc)
{
    uint32_t slot = (pc * 0x9e3779b97f4a7c15u) >> 40, place;

    pthread_mutex_lock(&places_lock);
    for (slot %= HASH_SLOTS; (place = place_of_hash[slot]) != 0; slot = (slot + 1) % HASH_SLOTS)
        if (places[place] == pc)
            break;
    if (place == 0 && shared->places + 1 < OBSERVER_MAX_PLACES) {
        place = shared->places + 1;
        places[place] = pc;
        place_of_hash[slot] = place;
        __atomic_store_n(&shared->places, place, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&places_lock);
    return place;
}

/* ---- the guest's registers and memory ---- */

static uint64_t read_register(struct vcpu *vcpu, struct reg *reg)
{
    uint64_t value = 0;

    if (reg == NULL)
        return 0;
    g_byte_array_set_size(vcpu->bytes, 0);
    if (!qemu_plugin_read_register(reg, vcpu->bytes) || vcpu->bytes->len < sizeof(value))
        return 0;
    memcpy(&value, vcpu->bytes->data, sizeof(value));
    return value;
}

/* From an address in the kernel's linear map: user space need not have it mapped. */
static bool read_linear(struct vcpu *vcpu, uint64_t address, void *to, size_t length)
{
    if (qemu_plugin_read_memory_hwaddr(address - shared->linearMap, vcpu->bytes, length) != 0)
        return false;
    memcpy(to, vcpu->bytes->data, length);
    return true;
}

static uint64_t current_task(struct vcpu *vcpu, bool is_kernel)
{
    uint64_t task = 0, base;

    if (is_arm64)
        return vcpu->task;
    base = read_register(vcpu, is_kernel ? vcpu->reg.gs_base : vcpu->reg.kernel_gs_base);
    return in_kernel(base) && read_linear(vcpu, base + shared->currentTask, &task, sizeof(task)) ? task : 0;
}

/* The process that its page tables are of: asked once for each change of them. */
static uint32_t current_pid(struct vcpu *vcpu, bool is_kernel)
{
    uint64_t task;

    if (vcpu->has_pid || __atomic_load_n(&shared->linearMap, __ATOMIC_ACQUIRE) == 0)
        return vcpu->pid;
    task = current_task(vcpu, is_kernel);
    vcpu->has_pid =
            in_kernel(task) && read_linear(vcpu, task + shared->taskTgid, &vcpu->pid, sizeof(vcpu->pid));
    return vcpu->pid;
}

static void describe_process(struct vcpu *vcpu, struct observer_record *record, bool is_kernel)
{
    uint64_t task;

    record->pid = record->tid = 0;
    record->comm[0] = 0;
    if (__atomic_load_n(&shared->linearMap, __ATOMIC_ACQUIRE) == 0)
        return;
    task = current_task(vcpu, is_kernel);
    if (!in_kernel(task) || !read_linear(vcpu, task + shared->taskTgid, &record->pid, sizeof(record->pid)))
        return;
    read_linear(vcpu, task + shared->taskPid, &record->tid, sizeof(record->tid));
    read_linear(vcpu, task + shared->taskComm, record->comm, sizeof(record->comm));
}

static uint64_t return_address(struct vcpu *vcpu)
{
    uint64_t address = 0;

    if (is_arm64)
        return read_register(vcpu, vcpu->reg.x[30]);
    if (qemu_plugin_read_memory_vaddr(read_register(vcpu, vcpu->reg.rsp), vcpu->bytes, sizeof(address)))
        memcpy(&address, vcpu->bytes->data, sizeof(address));
    return address;
}

/* ---- accesses of devices ---- */

static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;

/* The number of a device; OBSERVER_MAX_DEVICES when there are too many. */
static uint32_t device_of(const char *name)
{
    uint32_t device;

    pthread_mutex_lock(&devices_lock);
    for (device = 0; device < shared->devices; device++)
        if (strncmp(devices[device], name, OBSERVER_DEVICE_NAME_BYTES - 1) == 0)
            break;
    if (device == shared->devices && device < OBSERVER_MAX_DEVICES) {
        strncpy(devices[device], name, OBSERVER_DEVICE_NAME_BYTES - 1);
        __atomic_store_n(&shared->devices, device + 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&devices_lock);
    return device;
}

static void record_value(struct observer_record *record, struct mem_value value)
{
    const uint64_t values[] = {
            value.data.u8, value.data.u16, value.data.u32, value.data.u64, value.data.u128.low};

    record->value = values[value.type];
    record->valueHigh = value.type == 4 ? value.data.u128.high : 0;
}

static void record_access(
        struct vcpu *vcpu, uint32_t info, const struct hwaddr *address, const char *name, uint64_t pc)
{
    uint64_t number = vcpu->ring->written;
    struct observer_record *record = &vcpu->records[number % OBSERVER_RING_RECORDS];
    bool is_kernel = in_kernel(pc), is_write = qemu_plugin_mem_is_store(info);
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    record->timeNs = now.tv_sec * 1000000000ull + now.tv_nsec;
    record->address = qemu_plugin_hwaddr_phys_addr(address);
    record_value(record, qemu_plugin_mem_get_value(info));
    record->pc = pc;
    record->epoch = shared->epoch;
    record->device = device_of(name);
    record->sizeBytes = 1 << qemu_plugin_mem_size_shift(info);
    record->flags = (is_write ? OBSERVER_IS_WRITE : 0) | (is_kernel ? OBSERVER_IS_KERNEL : 0);
    record->returnAddress = return_address(vcpu);
    describe_process(vcpu, record, is_kernel);
    __atomic_store_n(&vcpu->ring->written, number + 1, __ATOMIC_RELEASE);
    if (is_write)
        __atomic_fetch_add(&shared->epoch, 1, __ATOMIC_RELAXED);
}

/* ---- all stores and loads ---- */

static bool is_ram(uint64_t physical)
{
    return physical - shared->ram0 < shared->ram0Bytes || physical - shared->ram1 < shared->ram1Bytes;
}

static uint64_t *shadow_of(uint64_t page)
{
    return shared->shadowOffset == 0 ? no_shadow : (uint64_t *)((char *)shared + shared->shadowOffset + page);
}

static uint32_t *owner_of(uint64_t page)
{
    return (uint32_t *)((char *)shared + shared->ownersOffset) + (page >> PAGE_SHIFT);
}

/* An access of a page that the table does not have. Returns its shadow, or NULL when it is not RAM. */
static __attribute__((noinline)) uint64_t *access_slowly(
        struct vcpu *vcpu, struct tlb_entry *entry, uint32_t info, uint64_t vaddr, uint32_t place)
{
    struct hwaddr *address = qemu_plugin_get_hwaddr(info, vaddr);
    uint64_t physical;
    const char *name;

    if (address == NULL)
        return NULL;
    if (qemu_plugin_hwaddr_is_io(address)) {
        name = qemu_plugin_hwaddr_device_name(address);
        if (strncmp(name, OBSERVER_CARD_PREFIX, strlen(OBSERVER_CARD_PREFIX)) == 0)
            record_access(vcpu, info, address, name, places[place]);
        return NULL;
    }
    physical = qemu_plugin_hwaddr_phys_addr(address) >> PAGE_SHIFT << PAGE_SHIFT;
    /* Card memory that is mapped can become I/O under the same address. */
    if (!is_ram(physical))
        return NULL;
    entry->page = vaddr >> PAGE_SHIFT;
    entry->epoch = __atomic_load_n(&vcpu->tlb_epoch, __ATOMIC_RELAXED);
    entry->shadow = shadow_of(physical);
    if (shared->ownersOffset != 0 && !in_kernel(places[place]) && qemu_plugin_mem_is_store(info))
        *owner_of(physical) = current_pid(vcpu, false);
    return entry->shadow;
}

static inline uint64_t *shadow_page(
        struct vcpu *vcpu, struct tlb_entry *table, uint32_t info, uint64_t vaddr, uint32_t place)
{
    uint64_t page = vaddr >> PAGE_SHIFT;
    struct tlb_entry *entry = &table[page % TLB_ENTRIES];

    if (RARE(entry->page != page || entry->epoch != __atomic_load_n(&vcpu->tlb_epoch, __ATOMIC_RELAXED)))
        return access_slowly(vcpu, entry, info, vaddr, place);
    return entry->shadow;
}

static void on_load(unsigned int index, uint32_t info, uint64_t vaddr, void *place)
{
    struct vcpu *vcpu = &vcpus[index];

    shadow_page(vcpu, vcpu->loads, info, vaddr, (uintptr_t)place);
}

static void on_store(unsigned int index, uint32_t info, uint64_t vaddr, void *place)
{
    struct vcpu *vcpu = &vcpus[index];
    uint64_t *shadow = shadow_page(vcpu, vcpu->stores, info, vaddr, (uintptr_t)place);
    unsigned int in_page = vaddr % (1 << PAGE_SHIFT), end = in_page + (1 << qemu_plugin_mem_size_shift(info));
    uint64_t mark;

    if (RARE(shadow == NULL))
        return;
    mark = __atomic_load_n(&shared->epoch, __ATOMIC_RELAXED) << 35 | vcpu->mark | (uintptr_t)place;
    shadow[in_page / 8] = mark;
    if (RARE(end > (in_page | 7) + 1) && end <= 1 << PAGE_SHIFT)
        shadow[(end - 1) / 8] = mark;
}

static void forget_pages(struct vcpu *vcpu)
{
    __atomic_fetch_add(&vcpu->tlb_epoch, 1, __ATOMIC_RELAXED);
}

static void on_invalidated_page(unsigned int index, void *unused)
{
    (void)unused;
    forget_pages(&vcpus[index]);
}

static void on_new_page_table(unsigned int index, void *unused)
{
    on_invalidated_page(index, unused);
    vcpus[index].has_pid = false;
    vcpus[index].pid = 0;
}

static void forget_pages_of_all(void)
{
    for (unsigned int i = 0; i < shared->vcpus; i++)
        forget_pages(&vcpus[i]);
}

static void on_invalidation(unsigned int index, void *unused)
{
    (void)unused;
    vcpus[index].has_invalidated = true;
    forget_pages_of_all();
}

/* It is now that the other processors have forgotten the pages. */
static void on_barrier(unsigned int index, void *unused)
{
    (void)unused;
    if (!vcpus[index].has_invalidated)
        return;
    vcpus[index].has_invalidated = false;
    forget_pages_of_all();
}

/* The kernel keeps the address of its task_struct in SP_EL0. For a return to user space it loads a user's
 * address. */
static void on_sp_el0(unsigned int index, void *number)
{
    struct vcpu *vcpu = &vcpus[index];
    uint64_t value = read_register(vcpu, vcpu->reg.x[(uintptr_t)number]);

    if (in_kernel(value))
        vcpu->task = value;
}

/* ---- translation ---- */

static void instrument_arm64(struct insn *insn, uint64_t pc)
{
    uint32_t word = 0;
    uint32_t target = 0;

    qemu_plugin_insn_data(insn, &word, sizeof(word));
    target = word & 31;
    switch (word & ~31u) {
    case 0xd5182000: /* msr ttbr0_el1 */
    case 0xd5182020: /* msr ttbr1_el1 */
    case 0xd5182040: /* msr tcr_el1 */
    case 0xd5181000: /* msr sctlr_el1 */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_new_page_table, NO_REGS, NULL);
        return;
    case 0xd5184100: /* msr sp_el0 */
        if (in_kernel(pc) && target != 31)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_sp_el0, READS_REGS, (void *)(uintptr_t)target);
        return;
    }
    if ((word & 0xfff8e000) == 0xd5088000) /* tlbi, of all kinds */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidation, NO_REGS, NULL);
    else if ((word & 0xfffff0ff) == 0xd503309f) /* dsb */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_barrier, NO_REGS, NULL);
}

static bool is_x86_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64 ... 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
    case 0x40 ... 0x4f: /* REX */
        return true;
    default:
        return false;
    }
}

/* MOV to a control register, INVLPG, INVPCID. */
static void instrument_amd64(struct insn *insn)
{
    uint8_t bytes[16] = {0};
    size_t length = qemu_plugin_insn_data(insn, bytes, sizeof(bytes)), at = 0;

    while (at < length && is_x86_prefix(bytes[at]))
        at++;
    if (length - at < 3 || bytes[at] != 0x0f)
        return;
    if (bytes[at + 1] == 0x22)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_new_page_table, NO_REGS, NULL);
    else if ((bytes[at + 1] == 0x01 && (bytes[at + 2] & 0x38) == 0x38 && bytes[at + 2] < 0xc0) ||
             (bytes[at + 1] == 0x38 && bytes[at + 2] == 0x82))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidated_page, NO_REGS, NULL);
}

static void on_translation(struct tb *tb, void *unused)
{
    (void)unused;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t pc = qemu_plugin_insn_vaddr(insn);
        void *place = (void *)(uintptr_t)place_of(pc);

        qemu_plugin_register_vcpu_mem_cb(insn, on_load, READS_REGS, LOADS, place);
        qemu_plugin_register_vcpu_mem_cb(insn, on_store, READS_REGS, STORES, place);
        if (is_arm64)
            instrument_arm64(insn, pc);
        else
            instrument_amd64(insn);
    }
}

/* ---- start ---- */

static void find_registers(struct vcpu *vcpu)
{
    GArray *registers = qemu_plugin_get_registers();
    const struct reg_descriptor *each = (void *)registers->data;
    int number;
    char rest;

    for (const struct reg_descriptor *end = each + registers->len; each < end; each++) {
        if (strcmp(each->name, "gs_base") == 0)
            vcpu->reg.gs_base = each->handle;
        else if (strcmp(each->name, "k_gs_base") == 0)
            vcpu->reg.kernel_gs_base = each->handle;
        else if (strcmp(each->name, "rsp") == 0)
            vcpu->reg.rsp = each->handle;
        else if (sscanf(each->name, "x%d%c", &number, &rest) == 1 && number >= 0 &&
                 number < GENERAL_REGISTERS)
            vcpu->reg.x[number] = each->handle;
    }
    g_array_free(registers, 1);
}

static void on_vcpu_init(unsigned int index, void *unused)
{
    struct vcpu *vcpu = &vcpus[index];

    (void)unused;
    vcpu->tlb_epoch = 1;
    vcpu->mark = (uint64_t)index << 32;
    vcpu->ring = (void *)((char *)shared + shared->ringsOffset + index * (uint64_t)OBSERVER_RING_BYTES);
    vcpu->records = (void *)((char *)vcpu->ring + OBSERVER_PAGE_BYTES);
    vcpu->bytes = g_byte_array_new();
    find_registers(vcpu);
}

static int failed(const char *what)
{
    fprintf(stderr, "ghostcard's observer: %s\n", what);
    return -1;
}

EXPORTED int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    struct stat status;
    int fd;

    if (argc != 1 || strncmp(argv[0], "shared=", 7) != 0)
        return failed("the argument must be shared=PATH");
    fd = open(argv[0] + 7, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return failed("cannot open the shared file");
    shared = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    place_of_hash = mmap(NULL, HASH_SLOTS * sizeof(*place_of_hash), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    close(fd);
    if (shared == MAP_FAILED || place_of_hash == MAP_FAILED)
        return failed("cannot map the shared file");
    if (shared->magic != OBSERVER_MAGIC)
        return failed("the shared file is not one of ghostcard");
    if (info->system.max_vcpus > OBSERVER_MAX_VCPUS)
        return failed("the guest has more virtual processors than can be observed");
    is_arm64 = strcmp(info->target_name, "aarch64") == 0;
    places = (void *)((char *)shared + shared->placesOffset);
    devices = (void *)((char *)shared + shared->devicesOffset);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation, NULL);
    __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
    return 0;
}
