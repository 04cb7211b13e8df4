/* SPDX-License-Identifier: Apache-2.0 */
/* Explains why a program cannot be run; see explain.h. Models: execve(2), elf(5). */
#define _GNU_SOURCE
#include "explain.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

/*
 * How much of a file is examined: the kernel reads a script's first line within 256 bytes, and linkers put
 * what the kernel needs of an ELF file into its first page.
 */
enum { HEAD_BYTES = 4096, SCRIPT_LINE_BYTES = 256 };

struct head {
    size_t size;
    char bytes[HEAD_BYTES + 1];
};

struct reason {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void say(struct reason *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, why->size, format, arguments);
    va_end(arguments);
}

static bool read_head(const char *path, struct head *head)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, head->bytes, HEAD_BYTES) : -1;
    if (fd >= 0)
        close(fd);
    head->size = got > 0 ? (size_t)got : 0;
    head->bytes[head->size] = '\0';
    return got >= 0;
}

static bool is_elf(const struct head *head)
{
    return head->size >= EI_NIDENT && memcmp(head->bytes, ELFMAG, SELFMAG) == 0;
}

/* At the same offset in Elf32_Ehdr and Elf64_Ehdr. */
static unsigned elf_machine(const struct head *head)
{
    uint16_t machine = 0;
    if (head->size >= offsetof(Elf64_Ehdr, e_machine) + sizeof(machine))
        memcpy(&machine, head->bytes + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
    return machine;
}

/*
 * The loader of a dynamically linked program. NULL: none, a different word size, or outside the part that was
 * read.
 */
static const char *elf_loader(const struct head *head)
{
    Elf64_Ehdr elf;
    Elf64_Phdr part;
    if (head->size < sizeof(elf) || head->bytes[EI_CLASS] != ELFCLASS64)
        return NULL;
    memcpy(&elf, head->bytes, sizeof(elf));
    for (unsigned i = 0; i < elf.e_phnum && elf.e_phentsize == sizeof(part); i++) {
        if (elf.e_phoff > head->size || head->size - elf.e_phoff < (i + 1) * sizeof(part))
            return NULL;
        memcpy(&part, head->bytes + elf.e_phoff + i * sizeof(part), sizeof(part));
        if (part.p_type == PT_INTERP)
            return part.p_offset < head->size ? head->bytes + part.p_offset : NULL;
    }
    return NULL;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86_64";
    case EM_386:
        return "i386";
    case EM_AARCH64:
        return "aarch64";
    case EM_ARM:
        return "arm";
    case EM_RISCV:
        return "riscv";
    default:
        return NULL;
    }
}

/*
 * The interpreter in a script's first line, terminated in place; NULL: not a script. A carriage return stays
 * part of it, as for the kernel.
 */
static char *script_interpreter(struct head *head)
{
    if (head->size < 2 || memcmp(head->bytes, "#!", 2) != 0)
        return NULL;
    head->bytes[head->size < SCRIPT_LINE_BYTES ? head->size : SCRIPT_LINE_BYTES] = '\0';
    char *start = head->bytes + 2 + strspn(head->bytes + 2, " \t");
    start[strcspn(start, " \t\n")] = '\0';
    return start;
}

/* The file exists, but the kernel reports that something is missing. */
static void explain_missing(const char *path, struct reason *why)
{
    struct head head;
    if (!read_head(path, &head))
        return;
    if (is_elf(&head)) {
        const char *loader = elf_loader(&head);
        say(why,
                "it is dynamically linked and its loader%s%.200s does not exist: link it statically, or run "
                "it "
                "in a root file system that has the loader",
                loader ? " " : "", loader ? loader : "");
        return;
    }
    char *interpreter = script_interpreter(&head);
    if (!interpreter)
        return;
    if (strchr(interpreter, '\r'))
        say(why,
                "its first line ends with a carriage return, which counts as part of its interpreter's name: "
                "convert the script to UNIX line ends");
    else if (access(interpreter, F_OK) == 0)
        say(why,
                "it is a script, and its interpreter %.200s cannot be run, because the loader or interpreter "
                "of "
                "that does not exist",
                interpreter);
    else
        say(why, "it is a script, and its interpreter %.200s does not exist", interpreter);
}

static void explain_refused(const char *path, struct reason *why)
{
    struct stat file;
    struct statvfs file_system;
    struct head head;
    const char *interpreter;
    if (stat(path, &file) < 0)
        return;
    if (S_ISDIR(file.st_mode))
        say(why, "it is a folder");
    else if (!S_ISREG(file.st_mode))
        say(why, "it is not a regular file");
    else if (!(file.st_mode & 0111))
        say(why, "it is not executable (mode %04o); use chmod +x", file.st_mode & 07777);
    else if (statvfs(path, &file_system) == 0 && (file_system.f_flag & ST_NOEXEC))
        say(why, "its file system is mounted noexec");
    else if (read_head(path, &head) && (interpreter = script_interpreter(&head)))
        say(why, "it is a script, and its interpreter %.200s is not executable", interpreter);
}

/* Advice for programs of another architecture. */
#define FOREIGN_CURE                                                                                         \
    "cross-compile programs for the guest and link them statically, or use a root file system of its "       \
    "architecture (ghostcard run --root)"

/* For ELF files that the kernel does not run. `subject` is how the message refers to the file. */
static void explain_elf(const char *subject, const struct head *head, struct reason *why)
{
    struct utsname here = {0};
    unsigned machine = elf_machine(head);
    const char *name = machine_name(machine);
    uname(&here);
    if (name && strcmp(name, here.machine) != 0)
        say(why, "%s is built for %s, but this guest is %s: " FOREIGN_CURE, subject, name, here.machine);
    else if (!name)
        say(why, "%s is built for another architecture (ELF machine %u), but this guest is %s: " FOREIGN_CURE,
                subject, machine, here.machine);
    else
        say(why, "%s is a damaged or incomplete ELF file, or not a program (an object file, a library)",
                subject);
}

/* For a script that the kernel does not run because of its interpreter. */
static void explain_interpreter(const char *interpreter, struct reason *why)
{
    struct head head;
    char subject[300];
    snprintf(subject, sizeof(subject), "it is a script, and its interpreter %.200s", interpreter);
    if (read_head(interpreter, &head) && is_elf(&head))
        explain_elf(subject, &head, why);
}

/* Tries one file. Returns errno. A text file without "#!" is run by the shell, as with execvp. */
static int run_file(const char *path, char *const *argv, struct reason *why)
{
    struct head head;
    const char *interpreter;
    execve(path, argv, environ);
    int error = errno;
    if (error == ENOEXEC && read_head(path, &head)) {
        if (is_elf(&head))
            explain_elf("it", &head, why);
        else if ((interpreter = script_interpreter(&head)))
            explain_interpreter(interpreter, why);
        else
            execvp(path, argv);
    } else if (error == ENOENT) {
        explain_missing(path, why);
    } else if (error == EACCES) {
        explain_refused(path, why);
    }
    return error;
}

/* Tries the folders of PATH in order, until one has a file of that name. */
static int search(const char *name, const char *folders, char *const *argv, struct reason *why)
{
    int refused = 0;
    for (const char *end; *name; folders = end + 1) {
        char path[PATH_MAX];
        end = strchrnul(folders, ':');
        int length = snprintf(path, sizeof(path), "%.*s%s%s", (int)(end - folders), folders,
                end > folders ? "/" : "", name);
        int error = length < (int)sizeof(path) ? run_file(path, argv, why) : ENAMETOOLONG;
        if (why->text[0] && error != EACCES)
            return error;
        if (error == EACCES)
            refused = EACCES; /* another folder may have an executable one */
        else if (error != ENOENT && error != ENOTDIR && error != ENAMETOOLONG)
            return error;
        if (!*end)
            break;
    }
    return refused ? refused : ENOENT;
}

/* A PATH that is too long for the message is cut between two folders. */
static void explain_not_found(const char *folders, struct reason *why)
{
    enum { SHOWN = 800 };
    size_t length = strlen(folders);
    const char *more = "";
    if (length > SHOWN) {
        const char *cut = memrchr(folders, ':', SHOWN);
        length = cut ? (size_t)(cut - folders) : SHOWN;
        more = ":...";
    }
    say(why, "not found in the guest's PATH, which is %.*s%s", (int)length, folders, more);
}

void exec_or_explain(char *const *argv, char *text, size_t size)
{
    const char *folders = getenv("PATH");
    struct reason why = {text, size};
    text[0] = '\0';
    if (strchr(argv[0], '/')) {
        errno = run_file(argv[0], argv, &why);
        return;
    }
    int error = search(argv[0], folders ? folders : "/bin:/usr/bin", argv, &why);
    if (!text[0] && error == ENOENT && folders)
        explain_not_found(folders, &why);
    else if (!text[0] && error == ENOENT)
        say(&why, "not found, and the guest has no PATH");
    errno = error;
}
