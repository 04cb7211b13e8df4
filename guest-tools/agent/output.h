/* SPDX-License-Identifier: Apache-2.0 */
/* A command's output: what its pipe or terminal holds is sent as far as the host has room for it. */
#ifndef GHOSTCARD_AGENT_OUTPUT_H
#define GHOSTCARD_AGENT_OUTPUT_H

#include "link.h"

/* One of a command's two output pipes, or its terminal. */
struct output {
    const char *name;
    int fd; /* -1 once it has been read to its end */
    bool has_ended;
    uint32_t left; /* once it has ended: bytes it held then that are still unread; an upper bound for a
                      terminal */
};

/* The command has exited: what a pipe holds now is the command's, what comes later is not. */
void output_note_end(struct output *output, bool is_terminal);

/*
 * Sends what the pipe or terminal holds, while the host takes it: at most `window` bytes, which are deducted.
 * After the command's exit, the pipe is at its end once what it held then is read: a daemon that was left
 * behind may hold it open, and may write for ever.
 */
void output_pump(struct link *link, uint32_t id, struct output *output, uint64_t *window);

#endif
