/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs on a processor of the guest: its registers, and the process.
 *
 * Source: Linux arch/arm64/kernel/entry.S (sp_el0).
 */
#include <stdio.h>
#include <string.h>

#include "observer.h"

uint64_t read_register(struct vcpu *vcpu, struct reg *reg)
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

/* RAM only: a register of a device must not be read because its address looks like one of memory. */
static bool read_physical(struct vcpu *vcpu, uint64_t address, void *to, size_t length)
{
    if (!is_ram(address) || !is_ram(address + length - 1) ||
            qemu_plugin_read_memory_hwaddr(address, vcpu->bytes, length) != 0)
        return false;
    memcpy(to, vcpu->bytes->data, length);
    return true;
}

/* From an address in the kernel's linear map: user space need not have it mapped. */
static bool read_linear(struct vcpu *vcpu, uint64_t address, void *to, size_t length)
{
    return read_physical(vcpu, address - shared->linearMap, to, length);
}

/* As far as there is RAM. Returns how many bytes were read. */
static size_t read_virtual(struct vcpu *vcpu, uint64_t address, void *to, size_t length)
{
    size_t done = 0;

    while (done < length) {
        size_t in_page = PAGE_BYTES - (address + done) % PAGE_BYTES,
               here = length - done < in_page ? length - done : in_page;
        uint64_t physical;

        if (!qemu_plugin_translate_vaddr(address + done, &physical) ||
                !read_physical(vcpu, physical, (char *)to + done, here))
            break;
        done += here;
    }
    return done;
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
uint32_t current_pid(struct vcpu *vcpu, bool is_kernel)
{
    uint64_t task;

    if (vcpu->has_pid || __atomic_load_n(&shared->linearMap, __ATOMIC_ACQUIRE) == 0)
        return vcpu->pid;
    task = current_task(vcpu, is_kernel);
    vcpu->has_pid =
            in_kernel(task) && read_linear(vcpu, task + shared->taskTgid, &vcpu->pid, sizeof(vcpu->pid));
    return vcpu->pid;
}

void describe_process(struct vcpu *vcpu, bool is_kernel, uint32_t *pid, uint32_t *tid, char *comm)
{
    uint64_t task;

    *pid = *tid = 0;
    comm[0] = 0;
    if (__atomic_load_n(&shared->linearMap, __ATOMIC_ACQUIRE) == 0)
        return;
    task = current_task(vcpu, is_kernel);
    if (!in_kernel(task) || !read_linear(vcpu, task + shared->taskTgid, pid, sizeof(*pid)))
        return;
    read_linear(vcpu, task + shared->taskPid, tid, sizeof(*tid));
    read_linear(vcpu, task + shared->taskComm, comm, OBSERVER_COMM_BYTES);
}

uint64_t return_address(struct vcpu *vcpu)
{
    uint64_t address = 0;

    if (is_arm64)
        return read_register(vcpu, vcpu->reg.x[30]);
    read_virtual(vcpu, read_register(vcpu, vcpu->reg.rsp), &address, sizeof(address));
    return address;
}

/* ---- callers ---- */

enum { STACK_WORDS = 48, DEEP_STACK_WORDS = 512, LONGEST_FUNCTION = 1 << 16 };

/* What a call that returns to this address has called: 0 if there is no call with an address in it. */
static uint64_t called_before(struct vcpu *vcpu, uint64_t address)
{
    uint32_t word;
    uint8_t call[5];
    int32_t offset;

    if (is_arm64) {
        if (address % 4 != 0 || read_virtual(vcpu, address - 4, &word, sizeof(word)) < sizeof(word))
            return 0;
        return (word & 0xfc000000) == 0x94000000 ? address - 4 + ((int64_t)((int32_t)(word << 6) >> 6)) * 4
                                                 : 0;
    }
    if (read_virtual(vcpu, address - 5, call, sizeof(call)) < sizeof(call) || call[0] != 0xe8)
        return 0;
    memcpy(&offset, call + 1, sizeof(offset));
    return address + offset;
}

/* Words of the stack, as far as its pages are there. Returns how many. */
static int read_stack(struct vcpu *vcpu, uint64_t stack, uint64_t *words, int count)
{
    return read_virtual(vcpu, stack, words, count * sizeof(*words)) / sizeof(*words);
}

static uint64_t top_of_stack(struct vcpu *vcpu)
{
    return read_register(vcpu, is_arm64 ? vcpu->reg.sp : vcpu->reg.rsp);
}

/* Of the addresses among these words that a call returns to, the one whose call has the nearest function
 * before `pc`. Returns its index; `count` if there is none. */
static int find_caller(struct vcpu *vcpu, uint64_t pc, const uint64_t *words, int count)
{
    uint64_t nearest = 0;
    int found = count;

    for (int i = 0; i < count; i++) {
        uint64_t called;

        if (words[i] >> 32 != pc >> 32)
            continue;
        called = called_before(vcpu, words[i]);
        if (called > nearest && called <= pc && pc - called < LONGEST_FUNCTION) {
            nearest = called;
            found = i;
        }
    }
    return found;
}

uint64_t caller_of(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t words[1 + STACK_WORDS] = {is_arm64 ? read_register(vcpu, vcpu->reg.x[30]) : 0};
    int count = 1 + read_stack(vcpu, top_of_stack(vcpu), words + 1, STACK_WORDS),
        found = find_caller(vcpu, pc, words, count);

    return found < count ? words[found] : 0;
}

uint64_t argument(struct vcpu *vcpu, unsigned int number)
{
    struct reg *const amd64[] = {vcpu->reg.rdi, vcpu->reg.rsi, vcpu->reg.rdx, vcpu->reg.rcx};

    return read_register(vcpu, is_arm64 ? vcpu->reg.x[number] : amd64[number]);
}

/* ---- who gives memory back ---- */

/* munmap, mremap, madvise, brk, shmdt, close, execve, execveat, exit, exit_group. */
static bool gives_memory_back(unsigned int syscall)
{
    static const uint16_t amd64[] = {11, 25, 28, 12, 67, 3, 59, 322, 60, 231},
                          arm64[] = {215, 216, 233, 214, 197, 57, 221, 281, 93, 94};
    const uint16_t *calls = is_arm64 ? arm64 : amd64;

    for (unsigned int i = 0; i < sizeof(amd64) / sizeof(*amd64); i++)
        if (calls[i] == syscall)
            return true;
    return false;
}

/* The callers of the code at `pc`, the nearest first. */
static void find_callers(
        struct vcpu *vcpu, uint64_t pc, const uint64_t *words, int count, struct observer_release *release)
{
    uint64_t *const callers[] = {&release->caller0, &release->caller1, &release->caller2};

    for (int level = 0; level < 3; level++) {
        int found = find_caller(vcpu, pc, words, count);

        if (found >= count)
            return;
        *callers[level] = words[found];
        pc = words[found] - 1;
        words += found + 1;
        count -= found + 1;
    }
}

/* Processes that are ending: their memory may be given back by another thread. */
static struct observer_release ending[64];

static bool is_end(unsigned int syscall)
{
    return syscall == (is_arm64 ? 94 : 231); /* exit_group */
}

void note_system_call(struct vcpu *vcpu, uint64_t pc, unsigned int syscall)
{
    uint64_t words[1 + DEEP_STACK_WORDS] = {is_arm64 ? read_register(vcpu, vcpu->reg.x[30]) : 0};
    struct observer_release *giving = &vcpu->giving;

    giving->pc = 0;
    if (shared->releaseEntry == 0 || !gives_memory_back(syscall))
        return;
    *giving = (struct observer_release){0};
    describe_process(vcpu, false, &giving->pid, &giving->tid, giving->comm);
    find_callers(
            vcpu, pc, words, 1 + read_stack(vcpu, top_of_stack(vcpu), words + 1, DEEP_STACK_WORDS), giving);
    giving->pc = pc;
    if (is_end(syscall))
        ending[giving->pid % 64] = *giving;
}

/* Where it has returned, another processor may have been when it was made. */
void note_return_from_system_call(struct vcpu *vcpu, uint64_t pc)
{
    vcpu->giving.pc = 0;
    for (unsigned int i = 0; i < shared->vcpus; i++)
        if (vcpus[i].giving.pc == pc)
            vcpus[i].giving.pc = 0;
}

/* Whether a function, 0 for none, is being executed: the stack may still have addresses of calls that have
 * ended. What has been entered just now need not have called anything. */
static bool is_under_way(uint64_t function, const uint64_t *words, int count, bool is_entered)
{
    if (function == 0 || is_entered)
        return function != 0;
    for (int i = 0; i < count; i++)
        if (words[i] - function < LONGEST_FUNCTION)
            return true;
    return false;
}

/* A driver in the kernel: the nearest code of a module on the stack that has called something. */
static void find_module(struct vcpu *vcpu, uint64_t stack, struct observer_release *release)
{
    uint64_t words[DEEP_STACK_WORDS];
    int count = read_stack(vcpu, stack != 0 ? stack : top_of_stack(vcpu), words, DEEP_STACK_WORDS);

    for (int i = 0; i < count; i++)
        if (in_module(words[i]) && words[i] - shared->ownCode >= shared->ownCodeEnd - shared->ownCode &&
                is_under_way(called_before(vcpu, words[i]), words, i, stack != 0)) {
            release->pc = words[i] - 1; /* the call is before where it returns to */
            find_callers(vcpu, release->pc, words + i + 1, count - i - 1, release);
            return;
        }
}

void find_releaser(struct vcpu *vcpu, bool is_task, uint64_t stack, struct observer_release *release)
{
    if (is_task)
        describe_process(vcpu, true, &release->pid, &release->tid, release->comm);
    for (unsigned int i = 0; is_task && i < shared->vcpus; i++)
        if (vcpus[i].giving.pc != 0 && vcpus[i].giving.tid == release->tid) {
            *release = vcpus[i].giving;
            return;
        }
    if (is_task && release->pid != 0 && ending[release->pid % 64].pid == release->pid) {
        *release = ending[release->pid % 64];
        return;
    }
    release->flags = OBSERVER_IS_KERNEL;
    find_module(vcpu, stack, release);
}

void find_registers(struct vcpu *vcpu)
{
    const struct {
        const char *name;
        struct reg **reg;
    } named[] = {
            {"gs_base", &vcpu->reg.gs_base},
            {"k_gs_base", &vcpu->reg.kernel_gs_base},
            {"rsp", &vcpu->reg.rsp},
            {"rax", &vcpu->reg.rax},
            {"rdi", &vcpu->reg.rdi},
            {"rsi", &vcpu->reg.rsi},
            {"rdx", &vcpu->reg.rdx},
            {"rcx", &vcpu->reg.rcx},
            {"sp", &vcpu->reg.sp},
    };
    GArray *registers = qemu_plugin_get_registers();
    const struct reg_descriptor *each = (void *)registers->data;
    int number;
    char rest;

    for (const struct reg_descriptor *end = each + registers->len; each < end; each++) {
        for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
            if (strcmp(each->name, named[i].name) == 0)
                *named[i].reg = each->handle;
        if (sscanf(each->name, "x%d%c", &number, &rest) == 1 && number >= 0 && number < GENERAL_REGISTERS)
            vcpu->reg.x[number] = each->handle;
    }
    g_array_free(registers, 1);
}
