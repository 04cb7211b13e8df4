/* SPDX-License-Identifier: Apache-2.0 */
/* The way from the host to a command's standard input: what its pipe or terminal has not taken yet is queued.
 */
#ifndef GHOSTCARD_AGENT_INPUT_H
#define GHOSTCARD_AGENT_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct input {
    int fd; /* -1 once closed; then input vanishes */
    bool is_terminal, ending;
    uint8_t last; /* the byte that was queued last */
    uint32_t start, used;
    uint64_t taken; /* bytes to be given back to the host as credit */
    uint8_t *queue; /* absent without standard input */
};

/* Memory for a queue that holds WINDOW_BYTES of the host's; NULL if there is none. */
uint8_t *input_new_queue(void);

/* False: more than the host may send; nothing has been queued. */
bool input_put(struct input *input, const uint8_t *bytes, uint32_t size);

/* Nothing more will come. A pipe is closed once it has taken all. A terminal stays open: its reader sees an
 * end where the end character comes at the start of a line; behind half a line the first one only completes
 * that. */
void input_end(struct input *input);

/* Moves on what can be moved without blocking. */
void input_pump(struct input *input);

#endif
