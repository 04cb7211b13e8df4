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
    if (qemu_plugin_read_memory_vaddr(read_register(vcpu, vcpu->reg.rsp), vcpu->bytes, sizeof(address)))
        memcpy(&address, vcpu->bytes->data, sizeof(address));
    return address;
}

/* ---- callers ---- */

enum { STACK_WORDS = 48, LONGEST_FUNCTION = 1 << 16 };

/* What a call that returns to this address has called: 0 if there is no call with an address in it. */
static uint64_t called_before(struct vcpu *vcpu, uint64_t address)
{
    uint32_t word;
    int32_t offset;

    if (is_arm64) {
        if (address % 4 != 0 || !qemu_plugin_read_memory_vaddr(address - 4, vcpu->bytes, sizeof(word)))
            return 0;
        memcpy(&word, vcpu->bytes->data, sizeof(word));
        return (word & 0xfc000000) == 0x94000000 ? address - 4 + ((int64_t)((int32_t)(word << 6) >> 6)) * 4
                                                 : 0;
    }
    if (!qemu_plugin_read_memory_vaddr(address - 5, vcpu->bytes, 5) || vcpu->bytes->data[0] != 0xe8)
        return 0;
    memcpy(&offset, vcpu->bytes->data + 1, sizeof(offset));
    return address + offset;
}

/* Of the addresses on the stack that a call returns to, the one whose call has the nearest function before
 * `pc`. */
uint64_t caller_of(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t words[STACK_WORDS + 1] = {is_arm64 ? read_register(vcpu, vcpu->reg.x[30]) : 0}, caller = 0,
                                 nearest = 0;
    uint64_t stack = read_register(vcpu, is_arm64 ? vcpu->reg.sp : vcpu->reg.rsp);

    /* As far as the page of the stack is there. */
    for (int count = STACK_WORDS; count > 0; count /= 2)
        if (qemu_plugin_read_memory_vaddr(stack, vcpu->bytes, count * sizeof(*words))) {
            memcpy(words + 1, vcpu->bytes->data, count * sizeof(*words));
            break;
        }
    for (int i = 0; i <= STACK_WORDS; i++) {
        uint64_t called;

        if (words[i] >> 32 != pc >> 32)
            continue;
        called = called_before(vcpu, words[i]);
        if (called > nearest && called <= pc && pc - called < LONGEST_FUNCTION) {
            nearest = called;
            caller = words[i];
        }
    }
    return caller;
}

void find_registers(struct vcpu *vcpu)
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
        else if (strcmp(each->name, "rax") == 0)
            vcpu->reg.rax = each->handle;
        else if (strcmp(each->name, "sp") == 0)
            vcpu->reg.sp = each->handle;
        else if (sscanf(each->name, "x%d%c", &number, &rest) == 1 && number >= 0 &&
                 number < GENERAL_REGISTERS)
            vcpu->reg.x[number] = each->handle;
    }
    g_array_free(registers, 1);
}
