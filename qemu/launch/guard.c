/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleans up after the runner, however it ends.
 *
 * A runner (Node) that is killed with SIGKILL cannot clean up. The kernel closes its pipes and can signal its
 * children, and this program uses both:
 *
 * guard keep DIR
 *     Creates the run folder DIR (mode 0700), prints "ready", waits for end of file on standard input (the
 *     runner's pipe, which the kernel closes), and removes DIR with its contents.
 *
 * guard exec PID COMMAND...
 *     Replaces itself by COMMAND, which the kernel kills when the process PID dies. PID must be the parent.
 *     COMMAND cannot make device nodes or set-user-id files (see special-files.c).
 *
 * guard prune DIR
 *     Removes the run folders (DIR/run-*) whose keeper is dead too, and prints their names.
 *
 * A keeper holds a lock on its run folder while it lives, which is how `prune` recognises dead ones. A lock
 * on the parent folder makes creation and pruning exclude each other, so a new folder is never pruned.
 *
 * The parent-death signal is tied to the parent's THREAD that started this process, and an exec of a program
 * with set-user-id or file capabilities clears it. Node starts processes from the thread that calls spawn: if
 * that is a worker thread, the command ends with that worker.
 *
 * Sources: prctl(2) PR_SET_PDEATHSIG, flock(2), unlinkat(2).
 */
#include "special-files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FAULT = 125, EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_FOUND = 127 };

/*
 * A process that is being killed may still create files while the folder is removed: retry at most 100 times,
 * 20 ms apart.
 */
enum { REMOVE_ROUNDS = 100, REMOVE_PAUSE_NS = 20 * 1000 * 1000 };

static const char RUN_FOLDER_PREFIX[] = "run-";

__attribute__((noreturn, format(printf, 2, 3))) static void fail(int code, const char *format, ...)
{
    va_list arguments;

    fputs("guard: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(code);
}

static int open_folder_at(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * One pass: removes the contents of `folder`, a descriptor, and closes it. Symbolic links are not followed.
 */
static void empty_folder(int folder)
{
    struct dirent *entry;
    DIR *listing;

    (void)fchmod(folder, 0700); /* entries of a read-only folder cannot be removed */
    listing = fdopendir(folder);
    if (!listing) {
        close(folder);
        return;
    }
    while ((entry = readdir(listing)) != NULL) {
        int child;

        if (is_dot(entry->d_name) || unlinkat(dirfd(listing), entry->d_name, 0) == 0)
            continue;
        child = open_folder_at(dirfd(listing), entry->d_name);
        if (child < 0)
            continue;
        empty_folder(child);
        (void)unlinkat(dirfd(listing), entry->d_name, AT_REMOVEDIR);
    }
    closedir(listing);
}

/* Removes the folder `name` of `parent` with all its contents. Returns 0, or -1 and errno. Bounded. */
static int remove_folder(int parent, const char *name)
{
    const struct timespec pause = {.tv_nsec = REMOVE_PAUSE_NS};

    for (int round = 0; round < REMOVE_ROUNDS; round++) {
        int folder;

        if (round > 0)
            nanosleep(&pause, NULL);
        folder = open_folder_at(parent, name);
        if (folder < 0)
            return errno == ENOENT ? 0 : -1;
        empty_folder(folder);
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -1;
    }
    return -1;
}

/*
 * Waits until no other process creates or prunes folders here. The runner limits the wait: it kills this
 * process.
 */
static void lock_folder(int folder, const char *path)
{
    while (flock(folder, LOCK_EX) != 0)
        if (errno != EINTR)
            fail(EXIT_FAULT, "cannot lock %s: %s", path, strerror(errno));
}

static void wait_for_end_of_input(void)
{
    char ignored[64];
    ssize_t count;

    do
        count = read(STDIN_FILENO, ignored, sizeof(ignored));
    while (count > 0 || (count < 0 && errno == EINTR));
}

/* A signal to the runner's terminal or process group must not end this process before it has cleaned up. */
static void outlive_runner(void)
{
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    (void)setsid(); /* fails if this process already leads a session, which is fine */
}

static int keep(char *path)
{
    char *slash = strrchr(path, '/');
    const char *parent_path, *name;
    int parent, folder;

    if (path[0] != '/' || !slash[1] || is_dot(slash + 1))
        fail(EXIT_FAULT, "keep: %s is not the absolute path of a folder to create", path);
    outlive_runner();
    name = slash + 1;
    parent_path = slash == path ? "/" : path;
    if (slash != path)
        *slash = '\0';

    parent = open(parent_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        fail(EXIT_FAULT, "cannot open %s: %s", parent_path, strerror(errno));
    lock_folder(parent, parent_path);
    if (mkdirat(parent, name, 0700) != 0)
        fail(EXIT_FAULT, "cannot create %s/%s: %s", parent_path, name, strerror(errno));
    folder = open_folder_at(parent, name);
    if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) != 0)
        fail(EXIT_FAULT, "cannot lock %s/%s: %s", parent_path, name, strerror(errno));
    flock(parent, LOCK_UN);
    if (chdir("/") != 0)
        fail(EXIT_FAULT, "cannot go to /: %s", strerror(errno));

    puts("ready");
    fflush(stdout);
    wait_for_end_of_input();

    if (remove_folder(parent, name) != 0)
        fail(EXIT_FAULT, "cannot remove %s/%s: %s", parent_path, name, strerror(errno));
    return 0;
}

static int prune(const char *path)
{
    int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failures = 0;
    struct dirent *entry;
    DIR *listing;

    if (parent < 0)
        fail(EXIT_FAULT, "cannot open %s: %s", path, strerror(errno));
    lock_folder(parent, path);
    listing = fdopendir(parent);
    if (!listing)
        fail(EXIT_FAULT, "cannot list %s: %s", path, strerror(errno));
    while ((entry = readdir(listing)) != NULL) {
        int folder;

        if (strncmp(entry->d_name, RUN_FOLDER_PREFIX, strlen(RUN_FOLDER_PREFIX)) != 0)
            continue;
        folder = open_folder_at(parent, entry->d_name);
        if (folder < 0)
            continue;
        if (flock(folder, LOCK_EX | LOCK_NB) == 0) {
            if (remove_folder(parent, entry->d_name) == 0) {
                puts(entry->d_name);
            } else {
                fprintf(stderr, "guard: cannot remove %s/%s: %s\n", path, entry->d_name, strerror(errno));
                failures++;
            }
        }
        close(folder);
    }
    closedir(listing);
    return failures ? EXIT_FAULT : 0;
}

static int execute(const char *parent_pid, char **command)
{
    char *end;
    long expected = strtol(parent_pid, &end, 10);

    if (*end || expected <= 0)
        fail(EXIT_FAULT, "exec: '%s' is not a process id", parent_pid);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        fail(EXIT_FAULT, "cannot set the parent-death signal: %s", strerror(errno));
    /*
     * If the parent died before the line above, no signal is sent, but this process now has another parent.
     */
    if (getppid() != expected)
        fail(EXIT_FAULT, "process %ld is not the parent any more: it has died", expected);
    if (refuse_special_files() != 0)
        fail(EXIT_FAULT, "cannot keep %s from making device nodes and set-user-id files: seccomp: %s",
                command[0], strerror(errno));
    execvp(command[0], command);
    fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE, "cannot execute %s: %s", command[0],
            strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "keep") == 0)
        return keep(argv[2]);
    if (argc == 3 && strcmp(argv[1], "prune") == 0)
        return prune(argv[2]);
    if (argc >= 4 && strcmp(argv[1], "exec") == 0)
        return execute(argv[2], argv + 3);
    fail(EXIT_FAULT, "usage: guard keep DIR | guard prune DIR | guard exec PARENT-PID COMMAND [ARGUMENT...]");
}
