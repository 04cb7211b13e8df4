/* SPDX-License-Identifier: Apache-2.0 */
/* A command's output: sends what its pipe or terminal holds, as far as the host has room for it. */
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

/* The command has exited: what a pipe holds now is the command's output; what is written later is not. */
void output_note_end(struct output *output, bool is_terminal);

/*
 * Sends what the pipe or terminal holds, at most `window` bytes, which are deducted. After the command's
 * exit, the end is reached once what the pipe held then is read: a daemon that was left behind may keep it
 * open and write forever.
 */
void output_pump(struct link *link, uint32_t id, struct output *output, uint64_t *window);

#endif
