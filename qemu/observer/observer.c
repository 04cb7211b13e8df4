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
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "observer.h"

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 7;

struct observer_header *shared;
static uint64_t *places;
/* From a mark of the shadow to that of the shadow of others. */
static ptrdiff_t others_distance;
static char (*devices)[OBSERVER_DEVICE_NAME_BYTES];
struct vcpu vcpus[OBSERVER_MAX_VCPUS];
/* The same: the compiler makes less of an address that it cannot see through. */
static struct vcpu *vcpu_at[OBSERVER_MAX_VCPUS];
bool is_arm64;
/* By the places of system call instructions: the call that it has made last; 0: it is none. */
static uint16_t *syscall_at;
enum { NO_SYSCALL_YET = 0xffff };

/* ---- places of code: an address has one number, however often it is translated ---- */

static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
/* Open addressing, number 0 is free. */
static uint32_t *place_of_hash;
enum { HASH_SLOTS = 2 * OBSERVER_MAX_PLACES };

/* 0 for one that is not known, unless it is to be added. */
static uint32_t place_of(uint64_t pc, bool is_added)
{
    uint32_t slot = (pc * 0x9e3779b97f4a7c15u) >> 40, place;

    pthread_mutex_lock(&places_lock);
    for (slot %= HASH_SLOTS; (place = place_of_hash[slot]) != 0; slot = (slot + 1) % HASH_SLOTS)
        if (places[place] == pc)
            break;
    if (place == 0 && is_added && shared->places + 1 < OBSERVER_MAX_PLACES) {
        place = shared->places + 1;
        places[place] = pc;
        place_of_hash[slot] = place;
        __atomic_store_n(&shared->places, place, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&places_lock);
    return place;
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

static uint32_t begin_epoch(struct vcpu *vcpu, bool is_kernel)
{
    return __atomic_fetch_add(&vcpu->mark[is_kernel], 1ull << OBSERVER_MARK_EPOCH_AT, __ATOMIC_RELAXED) >>
           OBSERVER_MARK_EPOCH_AT;
}

/* A store to a BAR: what is stored from now on, on whatever processor, comes after it. */
static void begin_epochs(struct vcpu *vcpu, struct observer_record *record, bool is_kernel)
{
    uint32_t before[2 * OBSERVER_MAX_VCPUS] = {0};

    for (unsigned int i = 0; i < shared->vcpus; i++)
        for (unsigned int context = 0; context < CONTEXTS; context++)
            before[2 * i + context] = begin_epoch(&vcpus[i], context);
    memcpy(record->before, before, sizeof(before));
    /* x86 keeps stores in order. So does the kernel's code for accesses of devices. */
    record->barrier = is_arm64 && !(is_kernel && !in_module(record->pc))
                              ? vcpu->barrier[is_kernel]
                              : before[2 * (vcpu - vcpus) + is_kernel] + 1;
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
    record->device = device_of(name);
    record->sizeBytes = 1 << qemu_plugin_mem_size_shift(info);
    record->flags = (is_write ? OBSERVER_IS_WRITE : 0) | (is_kernel ? OBSERVER_IS_KERNEL : 0);
    record->returnAddress = return_address(vcpu);
    describe_process(vcpu, is_kernel, &record->pid, &record->tid, record->comm);
    if (is_write)
        begin_epochs(vcpu, record, is_kernel);
    else
        saw_answer(is_kernel);
    __atomic_store_n(&vcpu->ring->written, number + 1, __ATOMIC_RELEASE);
}

/* ---- all stores and loads ---- */

unsigned int vcpu_number(const struct vcpu *vcpu)
{
    return vcpu - vcpus;
}

bool is_ram(uint64_t physical)
{
    return physical - shared->ram0 < shared->ram0Bytes || physical - shared->ram1 < shared->ram1Bytes;
}

static uint32_t *owner_of(uint64_t page)
{
    return (uint32_t *)at_offset(shared->ownersOffset) + (page >> PAGE_SHIFT);
}

static uint8_t *touched_of(uint64_t page)
{
    return (uint8_t *)at_offset(shared->touchedOffset) + (page >> PAGE_SHIFT);
}

/* What is to be known of an instruction that accesses memory: the number of its place, and with it: */
enum { OF_KERNEL = 1 << 22, IS_ACQUIRE = 1 << 23, PLACE_MASK = OF_KERNEL - 1, ZVA_REGISTER_AT = 24 };

/* Puts a page of RAM into a table. `is_owned`: the process writes there. */
static void remember(
        struct vcpu *vcpu, struct tlb_entry *entry, uint64_t vaddr, uint64_t physical, bool is_owned)
{
    entry->page = vaddr >> PAGE_SHIFT;
    entry->epoch = __atomic_load_n(&vcpu->tlb_epoch, __ATOMIC_RELAXED);
    entry->shadow = at_offset(shared->shadowOffset + physical);
    entry->is_touched = touched_of(physical);
    if (is_owned)
        *owner_of(physical) = current_pid(vcpu, false);
}

/* An access of a page that the table does not have. Returns whether it has it now: if it is RAM. */
static bool look_up(struct vcpu *vcpu, struct tlb_entry *entry, uint32_t info, uint64_t vaddr, uint32_t place)
{
    struct hwaddr *address = qemu_plugin_get_hwaddr(info, vaddr);
    uint64_t physical;
    const char *name;

    if (address == NULL)
        return false;
    if (qemu_plugin_hwaddr_is_io(address)) {
        name = qemu_plugin_hwaddr_device_name(address);
        if (strncmp(name, OBSERVER_CARD_PREFIX, strlen(OBSERVER_CARD_PREFIX)) == 0)
            record_access(vcpu, info, address, name, places[place]);
        return false;
    }
    physical = qemu_plugin_hwaddr_phys_addr(address) >> PAGE_SHIFT << PAGE_SHIFT;
    /* Card memory that is mapped can become I/O under the same address. */
    if (!is_ram(physical))
        return false;
    remember(vcpu, entry, vaddr, physical, qemu_plugin_mem_is_store(info) && !in_kernel(places[place]));
    return true;
}

static struct tlb_entry *load_entry(struct vcpu *vcpu, uint64_t vaddr)
{
    return &vcpu->loads[(vaddr >> PAGE_SHIFT) % TLB_ENTRIES];
}

static struct tlb_entry *store_entry(struct vcpu *vcpu, uint64_t vaddr)
{
    return &vcpu->stores[(vaddr >> PAGE_SHIFT) % TLB_ENTRIES];
}

static inline bool is_known(const struct vcpu *vcpu, const struct tlb_entry *entry, uint64_t vaddr)
{
    return entry->page == vaddr >> PAGE_SHIFT &&
           entry->epoch == __atomic_load_n(&vcpu->tlb_epoch, __ATOMIC_RELAXED);
}

#define ALL_BYTES (0xffull << OBSERVER_MARK_BYTES_AT)

/* What an access marks at the beginning of a word, by the lowest bits of its information: calling QEMU for
 * its size each time would cost as much as all the rest. */
static uint64_t bytes_of_info[256];

static inline uint64_t bytes_of(uint32_t info)
{
    return bytes_of_info[info % 256];
}

/* Returns whether these bits say how many bytes it has. */
static bool learn_sizes(void)
{
    for (uint32_t info = 0; info < 256; info++) {
        unsigned int shift = qemu_plugin_mem_size_shift(info);

        if (qemu_plugin_mem_size_shift(~0xffu | info) != shift)
            return false;
        bytes_of_info[info] = shift > 5 ? ~0ull : ((1ull << (1 << shift)) - 1) << OBSERVER_MARK_BYTES_AT;
    }
    return true;
}

static inline unsigned int size_of(uint32_t info)
{
    return 1 << qemu_plugin_mem_size_shift(info);
}

/* What has to be done most often, in a page that a card has accessed: all that it has done there has been
 * seen, and the code and its caller are known. Returns whether that is all. */
static inline bool is_plain(struct vcpu *vcpu, const struct tlb_entry *entry, uint64_t physical,
        unsigned int size, uintptr_t what, bool is_write)
{
    bool is_kernel = (what & OF_KERNEL) != 0;
    uint64_t bytes, mark = vcpu->mark[is_kernel];
    const struct observer_caller *caller =
            (struct observer_caller *)at_offset(shared->callersOffset) + what % OBSERVER_CALLERS;

    if (*entry->is_touched != 1 || caller->place != (what & PLACE_MASK) || has_unseen(physical, is_kernel))
        return false;
    if (is_write)
        return caller->epoch == mark >> 32;
    bytes = ((1ull << size) - 1) << physical % 8;
    if (is_kernel || bytes > 0xff || *owner_of(physical) == 0)
        return false;
    *(uint64_t *)at_offset(shared->loadsOffset + physical / 8 * 8) =
            mark | (what & PLACE_MASK) | bytes << OBSERVER_MARK_BYTES_AT;
    return true;
}

static __attribute__((noinline)) void access_touched(struct vcpu *vcpu, const struct tlb_entry *entry,
        unsigned int size, uint64_t vaddr, uintptr_t what, bool is_write)
{
    struct access access = {
            .physical =
                    ((char *)entry->shadow - (char *)at_offset(shared->shadowOffset)) + vaddr % PAGE_BYTES,
            .pc = places[what & PLACE_MASK],
            .place = what & PLACE_MASK,
            .size = size,
            .is_write = is_write,
            .is_acquire = (what & IS_ACQUIRE) != 0,
    };

    if (is_plain(vcpu, entry, access.physical, access.size, what, is_write))
        return;
    /* Nobody has written there but the card, perhaps. */
    if (!in_kernel(access.pc) && *owner_of(access.physical) == 0)
        *owner_of(access.physical) = current_pid(vcpu, false);
    note_caller(vcpu, &access);
    if (!access.is_write && *entry->is_touched & OBSERVER_HAS_ERRORS)
        note_error_seen(&access);
    check_access(vcpu, &access);
}

/* What is rare of a load. */
static __attribute__((noinline)) void load_on(unsigned int index, uint32_t info, uint64_t vaddr, void *what)
{
    struct vcpu *vcpu = &vcpus[index];
    struct tlb_entry *entry = load_entry(vcpu, vaddr);

    if (!is_known(vcpu, entry, vaddr) && !look_up(vcpu, entry, info, vaddr, (uintptr_t)what & PLACE_MASK))
        return;
    if (*entry->is_touched)
        access_touched(vcpu, entry, size_of(info), vaddr, (uintptr_t)what, false);
}

/* What most callbacks do calls nothing, so that the compiler has no registers to save. */
static void on_load(unsigned int index, uint32_t info, uint64_t vaddr, void *what)
{
    struct vcpu *vcpu = vcpu_at[index];
    const struct tlb_entry *entry = load_entry(vcpu, vaddr);

    if (RARE(!is_known(vcpu, entry, vaddr) || *entry->is_touched))
        load_on(index, info, vaddr, what);
}

/*
 * Of eight bytes, the last store counts, and the last one before it that was of others of them. Two words of
 * four bytes so have both their writers.
 */
static inline void set_mark(uint64_t *shadow, uint64_t mark)
{
    uint64_t before = *shadow;

    if ((before & ALL_BYTES & ~mark) == 0)
        ;
    else if (((before ^ mark) & ~ALL_BYTES) == 0)
        mark |= before;
    else
        shadow[others_distance] = before;
    *shadow = mark;
}

static inline uint64_t mark_of(const struct vcpu *vcpu, uintptr_t what)
{
    return __atomic_load_n(&vcpu->mark[(what & OF_KERNEL) != 0], __ATOMIC_RELAXED) | (what & PLACE_MASK);
}

/* The rest of a store, from its second word on. */
static void store_across_words(
        const struct tlb_entry *entry, unsigned int size, uint64_t vaddr, uint64_t mark)
{
    unsigned int in_page = vaddr % PAGE_BYTES, end = in_page + size;

    for (unsigned int at = (in_page | 7) + 1; at < end && at < PAGE_BYTES; at += 8)
        set_mark(&entry->shadow[at / 8], mark | (0xffull >> (end - at < 8 ? 8 - (end - at) : 0))
                                                         << OBSERVER_MARK_BYTES_AT);
}

/* What is rare of a store. */
static __attribute__((noinline)) void store_on(unsigned int index, uint32_t info, uint64_t vaddr, void *what)
{
    struct vcpu *vcpu = &vcpus[index];
    struct tlb_entry *entry = store_entry(vcpu, vaddr);
    uint64_t mark = mark_of(vcpu, (uintptr_t)what);

    if (!is_known(vcpu, entry, vaddr) && !look_up(vcpu, entry, info, vaddr, (uintptr_t)what & PLACE_MASK))
        return;
    set_mark(&entry->shadow[vaddr % PAGE_BYTES / 8], mark | (bytes_of(info) << vaddr % 8 & ALL_BYTES));
    store_across_words(entry, size_of(info), vaddr, mark);
    if (*entry->is_touched)
        access_touched(vcpu, entry, size_of(info), vaddr, (uintptr_t)what, true);
}

static void on_store(unsigned int index, uint32_t info, uint64_t vaddr, void *what)
{
    struct vcpu *vcpu = vcpu_at[index];
    const struct tlb_entry *entry = store_entry(vcpu, vaddr);
    uint64_t bytes = bytes_of(info) << vaddr % 8;

    if (RARE(!is_known(vcpu, entry, vaddr) || bytes > ALL_BYTES || *entry->is_touched))
        store_on(index, info, vaddr, what);
    else
        set_mark(&entry->shadow[vaddr % PAGE_BYTES / 8], mark_of(vcpu, (uintptr_t)what) | bytes);
}

/* One instruction is about to fill words of a page. */
static void fill(struct vcpu *vcpu, uint64_t vaddr, unsigned int bytes, uintptr_t what)
{
    struct tlb_entry *entry = store_entry(vcpu, vaddr);
    uint64_t mark = mark_of(vcpu, what) | ALL_BYTES, physical, *shadow;

    if (!is_known(vcpu, entry, vaddr)) {
        if (!qemu_plugin_translate_vaddr(vaddr, &physical) || !is_ram(physical))
            return;
        remember(vcpu, entry, vaddr, physical >> PAGE_SHIFT << PAGE_SHIFT, !(what & OF_KERNEL));
    }
    shadow = &entry->shadow[vaddr % PAGE_BYTES / 8];
    for (unsigned int i = 0; i < bytes / sizeof(mark); i++)
        shadow[i] = mark;
    if (*entry->is_touched)
        access_touched(vcpu, entry, bytes, vaddr, what, true);
}

/* Here QEMU tells of each store, but there are 512, and they are often a third of all. */
static void on_cleared_page(unsigned int index, void *what)
{
    struct vcpu *vcpu = &vcpus[index];

    fill(vcpu, read_register(vcpu, vcpu->reg.rdi), PAGE_BYTES, (uintptr_t)what);
}

static void on_dc_zva(unsigned int index, void *what)
{
    struct vcpu *vcpu = &vcpus[index];
    uint64_t bytes = shared->zvaBytes;
    uint64_t vaddr = read_register(vcpu, vcpu->reg.x[(uintptr_t)what >> ZVA_REGISTER_AT]);

    if (bytes != 0)
        fill(vcpu, vaddr & -bytes, bytes, (uintptr_t)what);
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
static void on_dsb(unsigned int index, void *unused)
{
    (void)unused;
    if (!vcpus[index].has_invalidated)
        return;
    vcpus[index].has_invalidated = false;
    forget_pages_of_all();
}

static void on_barrier_of_loads(unsigned int index, void *place)
{
    saw_barrier(&vcpus[index], in_kernel(places[(uintptr_t)place]));
}

/* In the kernel only those of drivers count: there is a barrier in almost everything else. */
static void on_barrier_of_stores(unsigned int index, void *place)
{
    struct vcpu *vcpu = &vcpus[index];
    uint64_t pc = places[(uintptr_t)place];
    bool is_kernel = in_kernel(pc);

    if (!is_kernel || in_module(pc))
        vcpu->barrier[is_kernel] = begin_epoch(vcpu, is_kernel) + 1;
}

static void on_interrupt(unsigned int index, void *unused)
{
    (void)index;
    (void)unused;
    saw_interrupt();
}

static void on_system_call(unsigned int index, void *place)
{
    struct vcpu *vcpu = &vcpus[index];
    unsigned int syscall = read_register(vcpu, is_arm64 ? vcpu->reg.x[8] : vcpu->reg.rax);

    saw_system_call(vcpu);
    note_system_call(vcpu, places[(uintptr_t)place], syscall);
    syscall_at[(uintptr_t)place] = syscall;
}

static void on_return_from_system_call(unsigned int index, void *place)
{
    note_return_from_system_call(&vcpus[index], places[(uintptr_t)place]);
    saw_return_from_system_call(syscall_at[(uintptr_t)place]);
}

/* gc_gives_back() of guest-tools/modules/release.c */
static void on_release(unsigned int index, void *unused)
{
    struct vcpu *vcpu = &vcpus[index];

    (void)unused;
    gives_back(vcpu, argument(vcpu, 0), argument(vcpu, 1), argument(vcpu, 2) & 1, argument(vcpu, 3));
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

/* The lower bits of a barrier say what it orders: 1 loads, 2 stores, 3 both. */
static void instrument_barrier(struct insn *insn, unsigned int ordered, void *place)
{
    if (ordered & 1)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_barrier_of_loads, NO_REGS, place);
    if (ordered & 2)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_barrier_of_stores, NO_REGS, place);
}

static void instrument_system_call(struct insn *insn, uintptr_t place)
{
    if (syscall_at[place] == 0)
        syscall_at[place] = NO_SYSCALL_YET;
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_system_call, READS_REGS, (void *)place);
}

/* LDAR, LDAXR, LDAPR: loads that order what comes after them. */
static bool is_arm64_acquire(uint32_t word)
{
    return (word & 0x3fe08000) == 0x08c08000 || (word & 0x3fe08000) == 0x08408000 ||
           (word & 0x3ffffc00) == 0x38bfc000;
}

/* STLR, STLXR: stores that come after all before them. */
static bool is_arm64_release(uint32_t word)
{
    return (word & 0x3fe08000) == 0x08808000 || (word & 0x3fe08000) == 0x08008000;
}

/* Returns whether it is an acquire. */
static bool instrument_arm64(struct insn *insn, uint64_t pc, uintptr_t what)
{
    uintptr_t place = what & PLACE_MASK;
    uint32_t word = 0;
    uint32_t target = 0;

    qemu_plugin_insn_data(insn, &word, sizeof(word));
    target = word & 31;
    switch (word & ~31u) {
    case 0xd50b7420: /* dc zva */
        qemu_plugin_register_vcpu_insn_exec_cb(
                insn, on_dc_zva, READS_REGS, (void *)(what | (uintptr_t)target << ZVA_REGISTER_AT));
        return false;
    case 0xd5182000: /* msr ttbr0_el1 */
    case 0xd5182020: /* msr ttbr1_el1 */
    case 0xd5182040: /* msr tcr_el1 */
    case 0xd5181000: /* msr sctlr_el1 */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_new_page_table, NO_REGS, NULL);
        return false;
    case 0xd5184100: /* msr sp_el0 */
        if (in_kernel(pc) && target != 31)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_sp_el0, READS_REGS, (void *)(uintptr_t)target);
        return false;
    }
    if ((word & 0xfff8e000) == 0xd5088000) /* tlbi, of all kinds */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidation, NO_REGS, NULL);
    else if ((word & 0xfffff0ff) == 0xd503309f) { /* dsb */
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_dsb, NO_REGS, NULL);
        instrument_barrier(insn, word >> 8 & 3, (void *)place);
    } else if ((word & 0xfffff0ff) == 0xd50330bf) /* dmb */
        instrument_barrier(insn, word >> 8 & 3, (void *)place);
    else if (is_arm64_release(word))
        instrument_barrier(insn, 2, (void *)place);
    else if (word == 0xd4000001 && !in_kernel(pc)) /* svc */
        instrument_system_call(insn, place);
    return is_arm64_acquire(word);
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

/* POP, LEAVE, RET: what they load has been stored by a PUSH or a CALL, and is no data of a card's. There are
 * so many that it is worth leaving them out. */
static bool pops(struct insn *insn)
{
    uint8_t bytes[2];
    size_t length = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
    uint8_t opcode = bytes[length - 1];

    if (is_arm64 || (length == 2 && (bytes[0] & 0xf0) != 0x40))
        return false;
    return (opcode & 0xf8) == 0x58 || (length == 1 && (opcode == 0xc3 || opcode == 0xc9));
}

/* MOV to a control register, INVLPG, INVPCID, SYSCALL. */
static void instrument_amd64(struct insn *insn, uint64_t pc, uintptr_t place)
{
    uint8_t bytes[16] = {0};
    size_t length = qemu_plugin_insn_data(insn, bytes, sizeof(bytes)), at = 0;

    if (length == 2 && bytes[0] == 0x0f && bytes[1] == 0x05 && !in_kernel(pc))
        instrument_system_call(insn, place);
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

/* clear_page(): mov $512, %ecx; xor %eax, %eax; rep stosq; or the same with bytes. */
static bool clears_page(struct tb *tb, size_t last)
{
    static const uint8_t words[] = {0xb9, 0x00, 0x02, 0x00, 0x00, 0x31, 0xc0, 0xf3, 0x48, 0xab},
                         bytes[] = {0xb9, 0x00, 0x10, 0x00, 0x00, 0x31, 0xc0, 0xf3, 0xaa};
    uint8_t code[3 * 5];
    size_t length = 0;

    if (is_arm64 || last < 2)
        return false;
    for (size_t i = last - 2; i <= last; i++)
        length += qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i), code + length, 5);
    return (length == sizeof(words) && memcmp(code, words, length) == 0) ||
           (length == sizeof(bytes) && memcmp(code, bytes, length) == 0);
}

/* A block begins where a system call returns to. */
static void instrument_return(struct insn *insn, uint64_t pc)
{
    uintptr_t syscall = place_of(pc - (is_arm64 ? 4 : 2), false);

    if (syscall != 0 && syscall_at[syscall] != 0)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_return_from_system_call, NO_REGS, (void *)syscall);
}

static void on_translation(struct tb *tb, void *unused)
{
    (void)unused;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t pc = qemu_plugin_insn_vaddr(insn);
        uintptr_t what = place_of(pc, true) | (in_kernel(pc) ? OF_KERNEL : 0);

        if (i == 0 && !in_kernel(pc))
            instrument_return(insn, pc);
        if (pc == shared->irqEntry)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_interrupt, NO_REGS, NULL);
        if (pc == shared->releaseEntry)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_release, READS_REGS, NULL);
        if (!is_arm64)
            instrument_amd64(insn, pc, what & PLACE_MASK);
        else if (instrument_arm64(insn, pc, what))
            what |= IS_ACQUIRE;
        if (in_kernel(pc) && clears_page(tb, i)) {
            /* Should it be interrupted, it goes on in a block that begins with it. */
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_cleared_page, READS_REGS, (void *)what);
            continue;
        }
        if (!pops(insn))
            qemu_plugin_register_vcpu_mem_cb(insn, on_load, READS_REGS, LOADS, (void *)what);
        qemu_plugin_register_vcpu_mem_cb(insn, on_store, READS_REGS, STORES, (void *)what);
    }
}

/* ---- start ---- */

static void on_vcpu_init(unsigned int index, void *unused)
{
    struct vcpu *vcpu = &vcpus[index];

    (void)unused;
    vcpu_at[index] = vcpu;
    vcpu->tlb_epoch = 1;
    for (uint64_t context = 0; context < CONTEXTS; context++)
        vcpu->mark[context] = 1ull << OBSERVER_MARK_EPOCH_AT | (uint64_t)index << OBSERVER_MARK_VCPU_AT |
                              context << OBSERVER_MARK_KERNEL_AT;
    vcpu->ring = at_offset(shared->ringsOffset + index * (uint64_t)OBSERVER_RING_BYTES);
    vcpu->records = (void *)((char *)vcpu->ring + OBSERVER_PAGE_BYTES);
    vcpu->bytes = g_byte_array_new();
    find_registers(vcpu);
}

static int failed(const char *what)
{
    fprintf(stderr, "ghostcard's observer: %s\n", what);
    return -1;
}

/* Takes no memory before it is used. */
static void *allocate(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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
    place_of_hash = allocate(HASH_SLOTS * sizeof(*place_of_hash));
    syscall_at = allocate(OBSERVER_MAX_PLACES * sizeof(*syscall_at));
    close(fd);
    if (shared == MAP_FAILED || place_of_hash == MAP_FAILED || syscall_at == MAP_FAILED)
        return failed("cannot map the shared file");
    if (shared->magic != OBSERVER_MAGIC)
        return failed("the shared file is not one of ghostcard");
    if (info->system.max_vcpus > OBSERVER_MAX_VCPUS)
        return failed("the guest has more virtual processors than can be observed");
    if (!learn_sizes())
        return failed("this QEMU tells the size of an access in a way that is not known");
    is_arm64 = strcmp(info->target_name, "aarch64") == 0;
    places = at_offset(shared->placesOffset);
    devices = at_offset(shared->devicesOffset);
    others_distance = (shared->othersOffset - shared->shadowOffset) / sizeof(uint64_t);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation, NULL);
    __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
    return 0;
}
