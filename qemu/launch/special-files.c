/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest does in a folder that it may write to, QEMU's 9p server does on the host, as the user who runs
 * it. For root that includes device nodes and programs that set their user id, with which any user of the
 * host would get more than the guest was given. No command needs them, so this process cannot make them: the
 * system calls fail with EPERM.
 *
 * Sources: seccomp(2); the system calls are those of systemd.exec(5), RestrictSUIDSGID=.
 */
#include "special-files.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the filter does not know the system calls of this architecture"
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define UNLESS_EQUAL(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skipped))

/* The low half of an argument: a mode has no more. Little-endian, as both architectures are here. */
#define ARGUMENT(number) LOAD(args[number])

/* A system call whose argument is a mode: not with the bits that set a user or group id. Leaves the call's
 * number. */
#define MODE_OF(call, number)                                                                                \
    UNLESS_EQUAL(call, 4), ARGUMENT(number), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, S_ISUID | S_ISGID, 0, 1),  \
            REFUSE, LOAD(nr)

/* One that makes a file of the kind that is in its mode: no device, and as above. */
#define NODE_OF(call, number)                                                                                \
    UNLESS_EQUAL(call, 7), ARGUMENT(number), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, S_ISUID | S_ISGID, 3, 0),  \
            BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0), \
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFBLK, 0, 1), REFUSE, LOAD(nr)

static struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCHITECTURE, 1, 0),
        ALLOW, /* QEMU has no code of another architecture */
        LOAD(nr),
        MODE_OF(SYS_fchmod, 1),
        MODE_OF(SYS_fchmodat, 2),
        MODE_OF(SYS_fchmodat2, 2),
        MODE_OF(SYS_openat, 3),
        NODE_OF(SYS_mknodat, 2),
#ifdef SYS_open
        MODE_OF(SYS_chmod, 1),
        MODE_OF(SYS_open, 2),
        MODE_OF(SYS_creat, 1),
        NODE_OF(SYS_mknod, 1),
#endif
        ALLOW,
};

int refuse_special_files(void)
{
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
