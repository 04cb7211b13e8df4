/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses of memory that do not come after what a card has done there.
 *
 * A card's steps, its accesses of memory, are numbered in their order. ghostcard marks what each one touches
 * with its number (CARD_MARK), before it happens. Here is the number of the last step that the guest has
 * *seen*, which all that it does from now on comes after: it has read a register, taken an interrupt, or
 * loaded what the card has written as status. An access of what a later step has left is a race.
 *
 * What has been seen is kept for user space and for the kernel, not for each thread: one may have told
 * another. What the kernel has seen, a process has seen when it returns from a system call, but for those
 * that only let time pass: there it has waited for nothing. The kernel's own code touches memory of a driver
 * on behalf of others; only code of modules is looked at, and what it calls.
 *
 * Sources: PCI Express Base Specification 5.0, 2.4 (a completion and a message push writes ahead of them);
 * Linux Documentation/memory-barriers.txt ("Kernel I/O barrier effects", dma_rmb), arch/x86/entry/syscalls,
 * include/uapi/asm-generic/unistd.h.
 */
#include <string.h>

#include "observer.h"

enum { USER, KERNEL, MODULES_BYTES = 32 << 20, REPORTED = 1 << 16, MARKED_BYTES = 8 };

/* The last step that has been seen. */
static uint32_t seen[CONTEXTS];

static bool is_after(uint32_t step, uint32_t other)
{
    return (int32_t)(step - other) > 0;
}

static void raise_to(uint32_t *steps, uint32_t step)
{
    uint32_t known = __atomic_load_n(steps, __ATOMIC_RELAXED);

    while (is_after(step, known) &&
            !__atomic_compare_exchange_n(steps, &known, step, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void saw(uint32_t step, bool is_kernel)
{
    raise_to(&seen[KERNEL], step);
    if (!is_kernel)
        raise_to(&seen[USER], step);
}

static uint32_t last_seen(bool is_kernel)
{
    raise_to(&seen[KERNEL], __atomic_load_n(&shared->configured, __ATOMIC_RELAXED));
    saw(__atomic_load_n(&shared->settled, __ATOMIC_RELAXED), false);
    return __atomic_load_n(&seen[is_kernel], __ATOMIC_RELAXED);
}

void saw_answer(bool is_kernel)
{
    saw(__atomic_load_n(&shared->answered, __ATOMIC_ACQUIRE), is_kernel);
}

void saw_interrupt(void)
{
    raise_to(&seen[KERNEL], __atomic_load_n(&shared->interrupted, __ATOMIC_ACQUIRE));
}

void saw_barrier(struct vcpu *vcpu, bool is_kernel)
{
    saw(vcpu->unordered[is_kernel], is_kernel);
}

bool has_unseen(uint64_t address, bool is_kernel)
{
    const uint32_t *steps = at_offset(shared->stepsOffset);

    return is_after(__atomic_load_n(&steps[address / PAGE_BYTES], __ATOMIC_ACQUIRE), seen[is_kernel]);
}

/* ---- waiting in the kernel ---- */

/* Those that only let time pass: nanosleep, clock_nanosleep, sched_yield. */
static bool is_idle(unsigned int syscall)
{
    return is_arm64 ? syscall == 101 || syscall == 115 || syscall == 124
                    : syscall == 35 || syscall == 230 || syscall == 24;
}

void saw_system_call(struct vcpu *vcpu)
{
    saw_barrier(vcpu, false);
}

void saw_return_from_system_call(unsigned int syscall)
{
    if (!is_idle(syscall))
        raise_to(&seen[USER], last_seen(true));
}

/* ---- accesses ---- */

void note_caller(struct vcpu *vcpu, const struct access *access)
{
    struct observer_caller *callers = at_offset(shared->callersOffset),
                           *known = &callers[access->place % OBSERVER_CALLERS];
    uint32_t epoch = vcpu->mark[in_kernel(access->pc)] >> 32;

    if (known->place == access->place && known->epoch == epoch)
        return;
    known->place = 0;
    known->caller = caller_of(vcpu, access->pc);
    known->epoch = epoch;
    known->place = access->place;
}

void note_error_seen(const struct access *access)
{
    struct observer_error *errors = at_offset(shared->errorsOffset);

    for (unsigned int i = 0; i < OBSERVER_ERRORS; i++) {
        uint64_t address = __atomic_load_n(&errors[i].address, __ATOMIC_ACQUIRE);

        if (address != 0 && access->physical < address + errors[i].sizeBytes &&
                address < access->physical + access->size)
            __atomic_store_n(&errors[i].seen, 1, __ATOMIC_RELAXED);
    }
}

bool in_module(uint64_t address)
{
    uint64_t known = __atomic_load_n(&shared->ownCode, __ATOMIC_RELAXED);

    return known != 0 && address - (known - MODULES_BYTES) < 2 * MODULES_BYTES;
}

/* Each place once in a round, as far as the table remembers. */
static bool is_new(uint64_t pc, uint64_t caller, uint8_t flags)
{
    static struct {
        uint64_t key;
        uint32_t round;
    } reported[REPORTED];
    uint64_t key = (pc << 4 | flags) ^ caller << 20;
    uint32_t round = __atomic_load_n(&shared->round, __ATOMIC_RELAXED);
    unsigned int slot = (key * 0x9e3779b97f4a7c15u) >> 48;

    if (reported[slot].key == key && reported[slot].round == round)
        return false;
    reported[slot].key = key;
    reported[slot].round = round;
    return true;
}

/* `race` has the address, its size, the code and the flags. */
static void report(struct vcpu *vcpu, struct observer_race race, uint64_t mark, uint32_t last)
{
    struct observer_race *races = at_offset(shared->racesOffset);
    bool is_kernel = (race.flags & OBSERVER_IS_KERNEL) != 0;

    if (!is_new(race.pc, race.caller, race.flags))
        return;
    race.mark = mark;
    race.seen = last;
    race.vcpu = vcpu_number(vcpu);
    if (!is_after(mark >> 32, vcpu->unordered[is_kernel]))
        race.flags |= OBSERVER_LACKS_BARRIER;
    if (!(race.flags & OBSERVER_IS_RELEASE))
        describe_process(vcpu, is_kernel, &race.pid, &race.tid, race.comm);
    races[__atomic_load_n(&shared->races, __ATOMIC_RELAXED) % OBSERVER_RACES] = race;
    __atomic_fetch_add(&shared->races, 1, __ATOMIC_RELEASE);
}

static void saw_status(struct vcpu *vcpu, const struct access *access, uint32_t step)
{
    bool is_kernel = in_kernel(access->pc);

    raise_to(&vcpu->unordered[is_kernel], step);
    if (!is_arm64 || access->is_acquire)
        saw_barrier(vcpu, is_kernel);
}

/* Of up to eight bytes with one mark. Returns whether it is a race. */
static bool is_race(struct vcpu *vcpu, const struct access *access, uint64_t mark, uint32_t *last)
{
    if (!access->is_write && !(mark & OBSERVER_CARD_IS_WRITTEN))
        return false;
    if (mark & OBSERVER_CARD_IS_STATUS) {
        if (!access->is_write)
            saw_status(vcpu, access, mark >> 32);
        return false;
    }
    *last = last_seen(in_kernel(access->pc));
    return is_after(mark >> 32, *last);
}

/* Whether code of the kernel accesses memory for something else than a driver. What goes through memory, as
 * memset() does, is asked about once. */
static bool is_for_others(struct vcpu *vcpu, const struct access *access)
{
    struct sweep *sweep = &vcpu->sweeps[access->place % SWEEPS];
    bool goes_on = sweep->place == access->place && access->physical - sweep->physical <= LONGEST_STRIDE;

    if (!in_kernel(access->pc) || in_module(access->pc))
        return false;
    sweep->physical = access->physical;
    if (goes_on)
        return sweep->is_for_others;
    sweep->place = access->place;
    return sweep->is_for_others = !in_module(return_address(vcpu));
}

void check_access(struct vcpu *vcpu, const struct access *access)
{
    uint64_t word = access->physical / MARKED_BYTES * MARKED_BYTES;
    uint64_t *marks = at_offset(shared->cardShadowOffset + word),
             *loads = at_offset(shared->loadsOffset + word);
    unsigned int first = access->physical % MARKED_BYTES, size = access->size;
    bool is_other = is_for_others(vcpu, access);
    uint32_t last;

    if (access->physical % PAGE_BYTES + size > PAGE_BYTES)
        size = PAGE_BYTES - access->physical % PAGE_BYTES;
    for (unsigned int at = 0; at < first + size; at += MARKED_BYTES, marks++, loads++) {
        uint64_t mark = __atomic_load_n(marks, __ATOMIC_ACQUIRE), bytes;
        unsigned int from = at < first ? first - at : 0,
                     to = first + size - at < MARKED_BYTES ? first + size - at : MARKED_BYTES;

        bytes = (1u << to) - (1u << from);
        if (!access->is_write && !is_other && !(mark & bytes && mark & OBSERVER_CARD_IS_STATUS))
            *loads = vcpu->mark[in_kernel(access->pc)] | access->place | bytes << OBSERVER_MARK_BYTES_AT;
        if ((mark & bytes) == 0)
            continue;
        if (is_other) {
            /* The kernel has the memory for other things now. */
            if (access->is_write)
                __atomic_compare_exchange_n(marks, &mark, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        } else if (is_race(vcpu, access, mark, &last)) {
            struct observer_race race = {
                    .address = access->physical,
                    .pc = access->pc,
                    .caller = caller_of(vcpu, access->pc),
                    .sizeBytes = access->size,
                    .flags = (access->is_write ? OBSERVER_IS_WRITE : 0) |
                             (in_kernel(access->pc) ? OBSERVER_IS_KERNEL : 0),
            };

            report(vcpu, race, mark, last);
            return;
        }
    }
}

/* ---- memory that is given back ---- */

static void give_back_page(
        struct vcpu *vcpu, const struct observer_release *release, uint64_t address, uint64_t bytes)
{
    uint64_t word = address / MARKED_BYTES * MARKED_BYTES, end = address + bytes;
    uint64_t *marks = at_offset(shared->releasedOffset + word),
             *steps = at_offset(shared->cardShadowOffset + word);
    bool is_kernel = (release->flags & OBSERVER_IS_KERNEL) != 0, is_found = false;
    /* What is given back because of a look comes after it, also without a barrier. */
    uint32_t last = vcpu->unordered[is_kernel];

    raise_to(&last, last_seen(is_kernel));
    for (; word < end; word += MARKED_BYTES, marks++, steps++) {
        unsigned int from = word < address ? address - word : 0,
                     to = end - word < MARKED_BYTES ? end - word : MARKED_BYTES;
        uint64_t touched = (1u << to) - (1u << from), step = __atomic_load_n(steps, __ATOMIC_ACQUIRE);

        *marks = vcpu->mark[is_kernel] | release->number | touched << OBSERVER_MARK_BYTES_AT;
        if (is_found || !(step & touched) || step & OBSERVER_CARD_IS_STATUS || !is_after(step >> 32, last))
            continue;
        is_found = true;
        struct observer_race race = {
                .address = word + from,
                .pc = release->number,
                .sizeBytes = to - from,
                .flags = OBSERVER_IS_RELEASE | (is_kernel ? OBSERVER_IS_KERNEL : 0),
        };

        report(vcpu, race, step, last);
    }
}

/* The number of a release: that of the one before, if it is the same call. */
static void number_release(struct vcpu *vcpu, struct observer_release *release)
{
    struct observer_release *releases = at_offset(shared->releasesOffset),
                            *before = &releases[vcpu->release % OBSERVER_RELEASES];
    uint32_t count;

    release->number = vcpu->release;
    if (vcpu->release != 0 && memcmp(before, release, sizeof(*release)) == 0)
        return;
    count = __atomic_fetch_add(&shared->releases, 1, __ATOMIC_RELAXED);
    vcpu->release = release->number = count % OBSERVER_RELEASE_NUMBERS + 1;
    releases[release->number % OBSERVER_RELEASES] = *release;
}

void gives_back(struct vcpu *vcpu, uint64_t address, uint64_t bytes, bool is_task, uint64_t stack)
{
    const uint8_t *is_touched = at_offset(shared->touchedOffset);
    uint32_t *owners = at_offset(shared->ownersOffset);
    struct observer_release release = {0};
    bool is_known = false;

    for (uint64_t end = address + bytes, next; address < end; address = next) {
        next = (address / PAGE_BYTES + 1) * PAGE_BYTES;
        if (next > end)
            next = end;
        if (!is_ram(address))
            continue;
        if (next - address == PAGE_BYTES)
            owners[address / PAGE_BYTES] = 0;
        if (!is_touched[address / PAGE_BYTES])
            continue;
        if (!is_known) {
            is_known = true;
            find_releaser(vcpu, is_task, stack, &release);
            number_release(vcpu, &release);
        }
        give_back_page(vcpu, &release, address, next - address);
    }
}
