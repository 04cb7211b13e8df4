/* SPDX-License-Identifier: Apache-2.0 */
/* A command's output; see output.h. */
#include "output.h"
#include "reply.h"
#include "terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

void output_note_end(struct output *output, bool is_terminal)
{
    int held = 0;
    output->has_ended = true;
    if (is_terminal) /* the amount is unknown, but reading reports its end */
        output->left = TERMINAL_HOLDS_BYTES;
    else
        output->left = output->fd >= 0 && ioctl(output->fd, FIONREAD, &held) == 0 ? (uint32_t)held : 0;
}

static void close_output(struct output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

void output_pump(struct link *link, uint32_t id, struct output *output, uint64_t *window)
{
    static uint8_t chunk[CHUNK_BYTES];
    if (output->has_ended && output->left == 0)
        close_output(output);
    while (output->fd >= 0 && *window > 0 && link_has_room(link)) {
        size_t want = *window < sizeof(chunk) ? (size_t)*window : sizeof(chunk);
        if (output->has_ended && output->left < want)
            want = output->left;
        ssize_t got = read(output->fd, chunk, want);
        if (got < 0 && errno == EAGAIN && !output->has_ended)
            return;
        if (got > 0) {
            *window -= (uint64_t)got;
            reply_output(link, id, output->name, chunk, (uint32_t)got);
        }
        if (output->has_ended && got > 0)
            output->left -= (uint32_t)got;
        if (got <= 0 || (output->has_ended && output->left == 0))
            close_output(output);
    }
}
