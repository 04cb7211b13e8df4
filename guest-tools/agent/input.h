/* SPDX-License-Identifier: Apache-2.0 */
/* A command's standard input: data from the host that its pipe or terminal has not accepted yet is queued. */
#ifndef GHOSTCARD_AGENT_INPUT_H
#define GHOSTCARD_AGENT_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct input {
    int fd; /* -1 once closed; further input is discarded */
    bool is_terminal, ending;
    uint8_t last; /* the byte that was queued last */
    uint32_t start, used;
    uint64_t taken; /* bytes to be credited to the host */
    uint8_t *queue; /* NULL without standard input */
};

/* Memory for a queue of WINDOW_BYTES; NULL if there is none. */
uint8_t *input_new_queue(void);

/* False: more than the host may send; nothing is queued. */
bool input_put(struct input *input, const uint8_t *bytes, uint32_t size);

/*
 * The host sends no more. A pipe is closed once everything is written. A terminal stays open: its reader sees
 * end of file where the end-of-file character comes at the start of a line. After a partial line the first
 * one only completes that line, so a second one follows.
 */
void input_end(struct input *input);

/* Writes what can be written without blocking. */
void input_pump(struct input *input);

#endif
