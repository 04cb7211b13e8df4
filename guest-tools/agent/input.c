/* SPDX-License-Identifier: Apache-2.0 */
/* A command's standard input; see input.h. */
#include "input.h"
#include "reply.h"
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_END_CHARACTERS = 2 };

uint8_t *input_new_queue(void)
{
    return malloc(WINDOW_BYTES + MAX_END_CHARACTERS);
}

static void append(struct input *input, const uint8_t *bytes, uint32_t size)
{
    if (size == 0)
        return;
    memmove(input->queue, input->queue + input->start, input->used);
    memcpy(input->queue + input->used, bytes, size);
    input->start = 0;
    input->used += size;
    input->last = bytes[size - 1];
}

bool input_put(struct input *input, const uint8_t *bytes, uint32_t size)
{
    if (input->fd < 0 || input->ending) { /* it has no reader any more */
        input->taken += size;
        return true;
    }
    if (size > WINDOW_BYTES - input->used)
        return false;
    append(input, bytes, size);
    return true;
}

void input_end(struct input *input)
{
    if (input->is_terminal && input->fd >= 0 && !input->ending) {
        uint8_t end = terminal_end_character(input->fd);
        bool line_is_open = input->last >= ' ';
        append(input, (uint8_t[MAX_END_CHARACTERS]){end, end}, line_is_open ? 2 : 1);
    }
    input->ending = true;
}

static void close_input(struct input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

void input_pump(struct input *input)
{
    while (input->fd >= 0 && input->used > 0) {
        ssize_t taken = write(input->fd, input->queue + input->start, input->used);
        if (taken < 0 && errno == EAGAIN)
            return;
        if (taken < 0) { /* no reader any more: the queue is discarded, as with a closed pipe */
            close_input(input);
            taken = input->used;
        }
        input->start += (uint32_t)taken;
        input->used -= (uint32_t)taken;
        input->taken += (uint64_t)taken;
    }
    if (input->ending)
        close_input(input);
}
