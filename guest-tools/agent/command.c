/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that run for the host; see command.h. Starting the process itself is in spawn.c. */
#define _GNU_SOURCE
#include "command.h"
#include "reply.h"
#include "spawn.h"
#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* One of a command's two output pipes; fd -1 once it has been read to its end. */
struct output {
    const char *name;
    int fd;
    uint32_t left; /* once the command has exited: what its pipe held then and has not been read yet */
};

/* Bytes for the command's standard input that its pipe has not taken yet. fd -1 once closed; then input
 * vanishes. */
struct input {
    int fd;
    bool ending;
    uint32_t start, used;
    uint64_t taken; /* bytes to be given back to the host as credit */
    uint8_t *queue; /* WINDOW_BYTES, absent without standard input */
};

static struct command {
    bool used;
    uint32_t id;
    pid_t pid;
    bool exited, timed_out;
    int wait_status;
    uint64_t started_ms, deadline_ms; /* deadline 0: none, or already enforced */
    uint64_t window;                  /* bytes of output that the host is still ready to take */
    struct input input;
    struct output outputs[2];
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
    free(command->input.queue);
    *command = (struct command){0};
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
    uint8_t *queue = request->has_stdin ? malloc(WINDOW_BYTES) : NULL;
    if (request->has_stdin && !queue) {
        reply_failed(
                link, request->id, ENOMEM, "exec: no memory for %d bytes of standard input", WINDOW_BYTES);
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
            .input = {.fd = spawned.stdin_fd, .queue = queue},
            .outputs = {{"stdout", spawned.stdout_fd}, {"stderr", spawned.stderr_fd}},
    };
    reply_started(link, request->id, spawned.pid);
}

void command_signal(struct link *link, const struct request *request)
{
    struct command *command = find(request->id);
    if (!command || command->exited)
        return; /* finished meanwhile: `exited` is on its way and says so */
    for (int number = 1; number < NSIG; number++) {
        const char *name = sigabbrev_np(number);
        if (name && request->signal.size == strlen(name) + 3 &&
                memcmp(request->signal.bytes, "SIG", 3) == 0 &&
                memcmp(request->signal.bytes + 3, name, strlen(name)) == 0) {
            kill(-command->pid, number);
            return;
        }
    }
    reply_error(link, "signal for command %u: '%.*s' is not the name of a signal", request->id,
            (int)(request->signal.size < 32 ? request->signal.size : 32),
            (const char *)request->signal.bytes);
}

bool command_input(struct link *link, const struct request *request)
{
    struct command *command = find(request->id);
    if (!command)
        return false;
    struct input *input = &command->input;
    if (input->fd < 0) { /* the command has closed its end */
        input->taken += request->data.size;
        return true;
    }
    if (request->data.size > WINDOW_BYTES - input->used) {
        reply_error(link, "input for command %u: %u bytes with %u queued are over its window of %d: dropped",
                request->id, request->data.size, input->used, WINDOW_BYTES);
        return true;
    }
    memmove(input->queue, input->queue + input->start, input->used);
    input->start = 0;
    if (request->data.size > 0)
        memcpy(input->queue + input->used, request->data.bytes, request->data.size);
    input->used += request->data.size;
    return true;
}

bool command_end_input(struct link *link, uint32_t id)
{
    (void)link;
    struct command *command = find(id);
    if (command)
        command->input.ending = true;
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

/* What the pipe holds when the command has ended is the command's; what comes later is not. */
static void note_end(struct output *output)
{
    int held = 0;
    output->left = output->fd >= 0 && ioctl(output->fd, FIONREAD, &held) == 0 ? (uint32_t)held : 0;
}

void command_reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
            if (command->used && command->pid == pid && !command->exited) {
                command->exited = true;
                command->wait_status = status;
                note_end(&command->outputs[0]);
                note_end(&command->outputs[1]);
            }
        }
    }
}

static void pump_input(struct link *link, uint32_t id, struct input *input)
{
    while (input->fd >= 0 && input->used > 0) {
        ssize_t taken = write(input->fd, input->queue + input->start, input->used);
        if (taken < 0 && errno == EAGAIN)
            break;
        if (taken < 0) { /* nobody reads any more: what is queued vanishes, as with a closed pipe */
            close_fd(&input->fd);
            taken = input->used;
        }
        input->start += (uint32_t)taken;
        input->used -= (uint32_t)taken;
        input->taken += (uint64_t)taken;
    }
    if (input->used == 0 && input->ending)
        close_fd(&input->fd);
    if (input->taken > 0 && link_has_room(link)) {
        reply_credit(link, id, input->taken);
        input->taken = 0;
    }
}

/* Sends what the pipe holds while the host takes it. An exited command's pipe is at its end once what it held
 * is read: whoever may still hold it open (a daemon that was left behind, and may write for ever) is not the
 * command. */
static void pump_output(struct link *link, struct command *command, struct output *output)
{
    static uint8_t chunk[CHUNK_BYTES];
    if (command->exited && output->left == 0)
        close_fd(&output->fd);
    while (output->fd >= 0 && command->window > 0 && link_has_room(link)) {
        size_t want = command->window < sizeof(chunk) ? (size_t)command->window : sizeof(chunk);
        if (command->exited && output->left < want)
            want = output->left;
        ssize_t got = read(output->fd, chunk, want);
        if (got < 0 && errno == EAGAIN && !command->exited)
            return;
        if (got > 0) {
            command->window -= (uint64_t)got;
            reply_output(link, command->id, output->name, chunk, (uint32_t)got);
        }
        if (command->exited && got > 0)
            output->left -= (uint32_t)got;
        if (got <= 0 || (command->exited && output->left == 0))
            close_fd(&output->fd);
    }
}

void command_pump(struct link *link, uint64_t now_ms)
{
    for (struct command *command = commands; command < commands + MAX_COMMANDS; command++) {
        if (!command->used)
            continue;
        if (command->deadline_ms && now_ms >= command->deadline_ms && !command->exited) {
            command->timed_out = true;
            command->deadline_ms = 0;
            kill(-command->pid, SIGKILL);
        }
        pump_input(link, command->id, &command->input);
        pump_output(link, command, &command->outputs[0]);
        pump_output(link, command, &command->outputs[1]);
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
            kill(-command->pid, SIGKILL);
        forget(command);
    }
}
