/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a process; see spawn.h. If the child cannot exec, it reports that through a pipe, which a successful
 * exec closes.
 */
#define _GNU_SOURCE
#include "spawn.h"
#include "explain.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file system that hangs must not block the agent. */
enum { EXEC_LIMIT_MS = 10000 };

/* What is needed to start a process, and its descriptors meanwhile. Pipes are [read, write]. */
struct launch {
    char **argv;
    char **envp;
    char *root;               /* NULL: the agent's own */
    char *cwd;                /* NULL: / below the root, or the agent's own */
    struct terminal terminal; /* in place of the pipes in, out and err */
    int in[2], out[2], err[2], report[2];
};

enum step { ADOPT_TERMINAL, ENTER_ROOT, CHANGE_FOLDER, RUN };

/* Why the child could not execute the program. */
struct child_error {
    enum step step;
    int error;
    char why[1024]; /* empty if errno says it all; fits into one write to a pipe */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipe(int pipe[2])
{
    close_fd(&pipe[0]);
    close_fd(&pipe[1]);
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static void release(struct launch *launch)
{
    close_fd(&launch->terminal.master);
    close_fd(&launch->terminal.slave);
    close_pipe(launch->in);
    close_pipe(launch->out);
    close_pipe(launch->err);
    close_pipe(launch->report);
    free(launch->argv);
    free(launch->envp);
    free(launch->root);
    free(launch->cwd);
}

static bool fail(struct spawned *spawned, int error, const char *attempt, const char *subject)
{
    spawned->error = error;
    snprintf(spawned->message, sizeof(spawned->message), "%s%.180s", attempt, subject);
    return false;
}

static bool prepare_pipes(const struct request *request, struct launch *launch, struct spawned *spawned)
{
    if (request->has_stdin) {
        if (pipe2(launch->in, O_CLOEXEC) < 0)
            return fail(spawned, errno, "exec: cannot create a pipe for ", launch->argv[0]);
        fcntl(launch->in[1], F_SETFL, O_NONBLOCK);
    } else {
        launch->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (launch->in[0] < 0)
            return fail(spawned, errno, "exec: cannot open ", "/dev/null");
    }
    if (pipe2(launch->out, O_CLOEXEC) < 0 || pipe2(launch->err, O_CLOEXEC) < 0)
        return fail(spawned, errno, "exec: cannot create a pipe for ", launch->argv[0]);
    fcntl(launch->out[0], F_SETFL, O_NONBLOCK);
    fcntl(launch->err[0], F_SETFL, O_NONBLOCK);
    return true;
}

static bool prepare_terminal(const struct request *request, struct launch *launch, struct spawned *spawned)
{
    if (!terminal_open(launch->root, request->columns, request->rows, &launch->terminal))
        return fail(spawned, errno, "exec: cannot open a terminal for ", launch->argv[0]);
    launch->in[1] = fcntl(launch->terminal.master, F_DUPFD_CLOEXEC, 0);
    if (launch->in[1] < 0)
        return fail(spawned, errno, "exec: cannot duplicate a descriptor for ", launch->argv[0]);
    launch->out[0] = take(&launch->terminal.master);
    return true;
}

static bool prepare(const struct request *request, struct launch *launch, struct spawned *spawned)
{
    launch->argv = request_argv(request->argv);
    launch->envp = request_envp(request->env, environ);
    launch->root = slice_text(request->root);
    launch->cwd = slice_text(request->cwd);
    if (!launch->argv)
        return fail(spawned, EINVAL, "exec: argv must be an array of one or more strings without NUL", "");
    if (!launch->envp)
        return fail(spawned, EINVAL, "exec: env must be a map of strings without NUL", "");
    if ((request->root.bytes && !launch->root) || (request->cwd.bytes && !launch->cwd))
        return fail(spawned, EINVAL, "exec: root and cwd must not contain a NUL", "");
    if (pipe2(launch->report, O_CLOEXEC) < 0)
        return fail(spawned, errno, "exec: cannot create a pipe for ", launch->argv[0]);
    return request->has_terminal ? prepare_terminal(request, launch, spawned)
                                 : prepare_pipes(request, launch, spawned);
}

/* Returns only if a step has failed, with errno. */
static enum step become(const struct launch *launch, struct child_error *failure)
{
    if (launch->terminal.slave < 0) {
        dup2(launch->in[0], STDIN_FILENO);
        dup2(launch->out[1], STDOUT_FILENO);
        dup2(launch->err[1], STDERR_FILENO);
    } else if (!terminal_adopt(&launch->terminal))
        return ADOPT_TERMINAL;
    environ = launch->envp; /* search in the PATH of the command, not of the agent */
    if (launch->root && (chroot(launch->root) < 0 || chdir("/") < 0))
        return ENTER_ROOT;
    if (launch->cwd && chdir(launch->cwd) < 0)
        return CHANGE_FOLDER;
    exec_or_explain(launch->argv, failure->why, sizeof(failure->why));
    return RUN;
}

static _Noreturn void run_child(const struct launch *launch)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    struct child_error failure = {0};
    failure.step = become(launch, &failure);
    failure.error = errno;
    ssize_t reported = write(launch->report[1], &failure, sizeof(failure));
    _exit(reported == sizeof(failure) ? 127 : 126);
}

/* Waits until the child has executed the program, or has reported why it could not. */
static bool await_exec(struct launch *launch, pid_t pid, struct spawned *spawned)
{
    struct child_error failure = {0};
    close(take(&launch->report[1]));
    struct pollfd entry = {.fd = launch->report[0], .events = POLLIN};
    if (poll(&entry, 1, EXEC_LIMIT_MS) <= 0) {
        kill(pid, SIGKILL);
        return fail(spawned, ETIMEDOUT, "exec: not started within 10 s: ", launch->argv[0]);
    }
    if (read(launch->report[0], &failure, sizeof(failure)) != sizeof(failure))
        return true;
    switch (failure.step) {
    case ADOPT_TERMINAL:
        fail(spawned, failure.error, "exec: cannot set the controlling terminal of ", launch->argv[0]);
        break;
    case ENTER_ROOT:
        fail(spawned, failure.error, "exec: cannot enter the root ", launch->root);
        break;
    case CHANGE_FOLDER:
        fail(spawned, failure.error, "exec: cannot change to folder ", launch->cwd);
        break;
    default:
        spawned->error = failure.error;
        snprintf(spawned->message, sizeof(spawned->message), "%.180s: %s", launch->argv[0],
                failure.why[0] ? failure.why : "cannot be run");
    }
    return false;
}

bool spawn(const struct request *request, struct spawned *spawned)
{
    struct launch launch = {
            .terminal = {-1, -1}, .in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .report = {-1, -1}};
    bool started = prepare(request, &launch, spawned);
    if (started) {
        spawned->pid = fork();
        if (spawned->pid == 0)
            run_child(&launch);
        started = spawned->pid > 0 ? await_exec(&launch, spawned->pid, spawned)
                                   : fail(spawned, errno, "exec: cannot fork for ", launch.argv[0]);
    }
    if (started) {
        spawned->stdin_fd = take(&launch.in[1]);
        spawned->stdout_fd = take(&launch.out[0]);
        spawned->stderr_fd = take(&launch.err[0]);
        spawned->slave_fd = take(&launch.terminal.slave);
    }
    release(&launch);
    return started;
}
