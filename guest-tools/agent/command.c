/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that run for the host; see command.h. Processes are started in spawn.c. */
#define _GNU_SOURCE
#include "command.h"
#include "input.h"
#include "late.h"
#include "output.h"
#include "reply.h"
#include "session.h"
#include "spawn.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct command {
    bool used;
    uint32_t id;
    pid_t pid;
    bool exited, timed_out;
    int wait_status;
    uint64_t started_ms, deadline_ms; /* deadline 0: none, or already enforced */
    uint64_t window;                  /* bytes of output that the host still accepts */
    struct input input;
    struct output outputs[2];
    int slave_fd; /* of its terminal, or -1 */
} commands[MAX_COMMANDS];

static struct command *find(uint32_t id)
{
    for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (command->used && command->id == id)
            return command;
    }
    return NULL;
}

static struct command *find_free(void)
{
    for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used)
            return command;
    }
    return NULL;
}

bool command_is_running(uint32_t id)
{
    return find(id) != NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void forget(struct command *command)
{
    close_fd(&command->input.fd);
    close_fd(&command->outputs[0].fd);
    close_fd(&command->outputs[1].fd);
    close_fd(&command->slave_fd);
    free(command->input.queue);
    *command = (struct command){0};
}

static bool has_terminal(const struct command *command)
{
    return command->slave_fd >= 0;
}

void command_start(struct link *link, const struct request *request)
{
    struct spawned spawned;
    struct command *command = find_free();
    if (!command) {
        reply_failed(
                link, request->id, EAGAIN, "exec: %d commands are running, which is the limit", MAX_COMMANDS);
        return;
    }
    bool takes_input = request->has_stdin || request->has_terminal;
    uint8_t *queue = takes_input ? input_new_queue() : NULL;
    if (takes_input && !queue) {
        reply_failed(link, request->id, ENOMEM, "exec: no memory for a queue of %d bytes of standard input",
                WINDOW_BYTES);
        return;
    }
    if (!spawn(request, &spawned)) {
        reply_failed(link, request->id, spawned.error, "%s", spawned.message);
        free(queue);
        return;
    }
    uint64_t now_ms = monotonic_ms();
    *command = (struct command){
            .used = true,
            .id = request->id,
            .pid = spawned.pid,
            .started_ms = now_ms,
            .deadline_ms = request->timeout_ms ? now_ms + request->timeout_ms : 0,
            .window = WINDOW_BYTES,
            .input = {.fd = spawned.stdin_fd, .is_terminal = request->has_terminal, .queue = queue},
            .outputs = {{.name = "stdout", .fd = spawned.stdout_fd},
                    {.name = "stderr", .fd = spawned.stderr_fd}},
            .slave_fd = spawned.slave_fd,
    };
    if (!request->has_stdin)
        input_end(&command->input);
    reply_started(link, request->id, spawned.pid);
}

void command_signal(struct link *link, const struct request *request)
{
    struct command *command = find(request->id);
    if (!command || command->exited)
        return; /* it has just finished: `exited` is on its way */
    for (int number = 1; number < NSIG; number++) {
        const char *name = sigabbrev_np(number);
        if (name && request->signal.size == strlen(name) + 3 &&
                memcmp(request->signal.bytes, "SIG", 3) == 0 &&
                memcmp(request->signal.bytes + 3, name, strlen(name)) == 0) {
            if (number == SIGKILL)
                session_kill(command->pid);
            else
                kill(-command->pid, number);
            return;
        }
    }
    reply_error(link, "signal for command %u: there is no signal named '%.*s'", request->id,
            (int)(request->signal.size < 32 ? request->signal.size : 32),
            (const char *)request->signal.bytes);
}

void command_resize(struct link *link, const struct request *request)
{
    struct command *command = find(request->id);
    if (!command || command->exited)
        return;
    if (!has_terminal(command))
        reply_error(link, "resize for command %u: it has no terminal", request->id);
    else if (!terminal_resize(command->outputs[0].fd, request->columns, request->rows))
        reply_error(link, "resize for command %u to %u columns and %u rows: %s", request->id,
                request->columns, request->rows, strerror(errno));
}

bool command_input(struct link *link, const struct request *request)
{
    struct command *command = find(request->id);
    if (command && !input_put(&command->input, request->data.bytes, request->data.size))
        reply_error(link,
                "input for command %u: %u bytes with %u queued exceed its window of %d and were discarded",
                request->id, request->data.size, command->input.used, WINDOW_BYTES);
    return command != NULL;
}

bool command_end_input(struct link *link, uint32_t id)
{
    (void)link;
    struct command *command = find(id);
    if (command)
        input_end(&command->input);
    return command != NULL;
}

bool command_credit(struct link *link, uint32_t id, uint64_t bytes)
{
    (void)link;
    struct command *command = find(id);
    if (command)
        command->window = bytes < WINDOW_BYTES - command->window ? command->window + bytes : WINDOW_BYTES;
    return command != NULL;
}

void command_reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
            if (command->used && command->pid == pid && !command->exited) {
                command->exited = true;
                command->wait_status = status;
                output_note_end(&command->outputs[0], has_terminal(command));
                output_note_end(&command->outputs[1], has_terminal(command));
            }
        }
    }
}

static void pump_input(struct link *link, uint32_t id, struct input *input)
{
    input_pump(input);
    if (input->taken > 0 && link_has_room(link)) {
        reply_credit(link, id, input->taken);
        input->taken = 0;
    }
}

void command_pump(struct link *link, uint64_t now_ms)
{
    for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used)
            continue;
        if (command->deadline_ms && now_ms >= command->deadline_ms && !command->exited) {
            char processes[1024];
            late_describe(command->pid, processes, sizeof(processes));
            reply_late(link, command->id, processes);
            command->timed_out = true;
            command->deadline_ms = 0;
            session_kill(command->pid);
        }
        pump_input(link, command->id, &command->input);
        output_pump(link, command->id, &command->outputs[0], &command->window);
        output_pump(link, command->id, &command->outputs[1], &command->window);
        if (command->exited && command->outputs[0].fd < 0 && command->outputs[1].fd < 0) {
            struct outcome outcome = {command->wait_status, command->timed_out, now_ms - command->started_ms};
            reply_exited(link, command->id, &outcome);
            forget(command);
        }
    }
}

size_t command_poll(const struct link *link, struct pollfd *entries)
{
    size_t count = 0;
    for (const struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used)
            continue;
        if (command->input.fd >= 0 && command->input.used > 0)
            entries[count++] = (struct pollfd){.fd = command->input.fd, .events = POLLOUT};
        for (int i = 0; i < 2; i++) {
            if (command->outputs[i].fd >= 0 && command->window > 0 && link_has_room(link))
                entries[count++] = (struct pollfd){.fd = command->outputs[i].fd, .events = POLLIN};
        }
    }
    return count;
}

int command_wait_ms(uint64_t now_ms, int at_most_ms)
{
    uint64_t wait_ms = (uint64_t)at_most_ms;
    for (const struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used || !command->deadline_ms)
            continue;
        uint64_t left_ms = command->deadline_ms > now_ms ? command->deadline_ms - now_ms : 0;
        if (left_ms < wait_ms)
            wait_ms = left_ms;
    }
    return (int)wait_ms;
}

void command_abandon_all(void)
{
    for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used)
            continue;
        if (!command->exited)
            session_kill(command->pid);
        forget(command);
    }
}
