/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the plugin share. */
#ifndef GHOSTCARD_OBSERVER_H
#define GHOSTCARD_OBSERVER_H

#include "layout.h"
#include "qemu.h"

#define RARE(condition) __builtin_expect(!!(condition), 0)

enum { TLB_ENTRIES = 4096, PAGE_SHIFT = 12, PAGE_BYTES = 1 << PAGE_SHIFT, GENERAL_REGISTERS = 32 };
/* User space, and the kernel. */
enum { CONTEXTS = 2 };
enum { SWEEPS = 64, LONGEST_STRIDE = 64 };

struct tlb_entry {
    uint64_t page;
    uint64_t epoch;
    /* Shadow of the page's first eight bytes. */
    uint64_t *shadow;
    /* Whether a card has accessed the page. */
    const uint8_t *is_touched;
};

/* Code of the kernel that accesses one word after the other. */
struct sweep {
    uint64_t physical;
    uint32_t place;
    bool is_for_others;
};

struct vcpu {
    /* Entries of another epoch are not valid. Other virtual processors advance it too (arm64). */
    uint64_t tlb_epoch;
    /* What its stores are marked with, in user space and in the kernel, but for the place and the bytes. */
    uint64_t mark[CONTEXTS];
    /* arm64: the epoch that its last barrier has begun. */
    uint32_t barrier[CONTEXTS];
    /* arm64: the last step of a card that it has seen, and that what comes after a barrier comes after. */
    uint32_t unordered[CONTEXTS];
    struct observer_ring *ring;
    struct observer_record *records;
    /* Between a TLBI and the DSB that completes it. */
    bool has_invalidated;
    /* arm64: the address of its task_struct; 0: not known. */
    uint64_t task;
    /* The process of its page tables, once it is known. */
    uint32_t pid;
    bool has_pid;
    /* The last system call that may give memory back; pc 0: it has returned. */
    struct observer_release giving;
    /* Number of its last release. */
    uint32_t release;
    GByteArray *bytes;
    struct sweep sweeps[SWEEPS];
    struct {
        struct reg *gs_base, *kernel_gs_base, *rsp, *rax, *sp, *rdi, *rsi, *rdx, *rcx;
        struct reg *x[GENERAL_REGISTERS];
    } reg;
    /* Apart, so that the first store to a page is noticed after loads. */
    struct tlb_entry loads[TLB_ENTRIES], stores[TLB_ENTRIES];
} __attribute__((aligned(64)));

extern struct observer_header *shared;
extern struct vcpu vcpus[];
extern bool is_arm64;

static inline bool in_kernel(uint64_t address)
{
    return address >> 63;
}

static inline void *at_offset(uint64_t offset)
{
    return (char *)shared + offset;
}

/* observer.c */
unsigned int vcpu_number(const struct vcpu *vcpu);
bool is_ram(uint64_t physical);

/* guest.c */
void find_registers(struct vcpu *vcpu);
uint64_t read_register(struct vcpu *vcpu, struct reg *reg);
/* The process that its page tables are of: asked once for each change of them. */
uint32_t current_pid(struct vcpu *vcpu, bool is_kernel);
void describe_process(struct vcpu *vcpu, bool is_kernel, uint32_t *pid, uint32_t *tid, char *comm);
/* Where the function returns to, if it has stored nothing on the stack. */
uint64_t return_address(struct vcpu *vcpu);
/* The same of any function, as far as it can be told from the stack: 0 if it cannot. */
uint64_t caller_of(struct vcpu *vcpu, uint64_t pc);

/* Of a function that is about to begin, from 0 on. */
uint64_t argument(struct vcpu *vcpu, unsigned int number);
/* A system call is about to be made at `pc`. */
void note_system_call(struct vcpu *vcpu, uint64_t pc, unsigned int syscall);
void note_return_from_system_call(struct vcpu *vcpu, uint64_t pc);
/* Who gives memory back now, but for the number; `is_task` and `stack` as in guest-tools/modules/release.c.
 */
void find_releaser(struct vcpu *vcpu, bool is_task, uint64_t stack, struct observer_release *release);

/* races.c: what the guest has seen of what cards have done, and accesses that do not come after it. */
struct access {
    uint64_t physical, pc;
    /* The number of the place. */
    uint32_t place;
    uint16_t size;
    bool is_write;
    /* arm64: what comes after it is ordered after it. */
    bool is_acquire;
};
/* Whether a card has done something in the page that has not been seen. */
bool has_unseen(uint64_t address, bool is_kernel);
/* Of a page that a card has accessed. */
void check_access(struct vcpu *vcpu, const struct access *access);
/* Keeps who has called the code. */
void note_caller(struct vcpu *vcpu, const struct access *access);
/* Keeps whether the load is of an error that a card has written. */
void note_error_seen(const struct access *access);
/* Whether the code is a kernel module's. */
bool in_module(uint64_t address);
/* A register has been read. */
void saw_answer(bool is_kernel);
void saw_interrupt(void);
/* That orders loads. */
void saw_barrier(struct vcpu *vcpu, bool is_kernel);
void saw_system_call(struct vcpu *vcpu);
void saw_return_from_system_call(unsigned int syscall);
void gives_back(struct vcpu *vcpu, uint64_t address, uint64_t bytes, bool is_task, uint64_t stack);

#endif
