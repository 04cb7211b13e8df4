/* SPDX-License-Identifier: Apache-2.0 */
/* The framing on the link to the host; see link.h. */
#define _GNU_SOURCE
#include "link.h"

#include <stdio.h>
#include <string.h>

/* The start of a hello's frame, after its length and the head of its map. */
static const uint8_t HELLO_START[] = {
        0xa4, 't', 'y', 'p', 'e', 0xa5, 'h', 'e', 'l', 'l', 'o'}; /* two MessagePack strings */
enum { HELLO_HEAD_BYTES = 5, HELLO_MAX_BYTES = 1024 };

static uint32_t load_le32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void pass_over(struct link *link, size_t bytes)
{
    link->in_start += bytes;
    link->in_used -= bytes;
}

/* The first frame between `from` and `end` that begins like a hello. It may be incomplete. */
static const uint8_t *hello_between(const uint8_t *from, const uint8_t *end)
{
    const uint8_t *search = from;
    for (const uint8_t *at;
            (at = memmem(search, (size_t)(end - search), HELLO_START, sizeof(HELLO_START)));) {
        const uint8_t *frame = at - HELLO_HEAD_BYTES;
        if (at - from >= HELLO_HEAD_BYTES && load_le32(frame) > sizeof(HELLO_START) &&
                load_le32(frame) <= HELLO_MAX_BYTES)
            return frame;
        search = at + 1;
    }
    return NULL;
}

/* Skips everything that cannot be part of a hello. True: one is at the front, but it may be incomplete. */
static bool find_hello(struct link *link)
{
    const uint8_t *front = link->in + link->in_start, *end = front + link->in_used;
    const uint8_t *frame = hello_between(front, end), *next;
    while (frame && (next = hello_between(frame + 1, end)) && next < frame + 4 + load_le32(frame))
        frame = next; /* it truncates the one before */
    size_t start_bytes = HELLO_HEAD_BYTES + sizeof(HELLO_START);
    if (frame)
        pass_over(link, (size_t)(frame - front));
    else if (link->in_used >= start_bytes)
        pass_over(link, link->in_used - (start_bytes - 1));
    return frame != NULL;
}

enum link_frame link_next_frame(struct link *link, const uint8_t **body, size_t *size)
{
    if (!link->in_step && !find_hello(link))
        return FRAME_NONE;
    if (link->in_used < 4)
        return FRAME_NONE;
    *size = load_le32(link->in + link->in_start);
    if (*size > LINK_MAX_FRAME_BYTES) {
        size_t here = link->in_used - 4 < *size ? link->in_used - 4 : *size;
        link->discard = *size - here;
        pass_over(link, 4 + here);
        return FRAME_TOO_LONG;
    }
    if (link->in_used < 4 + *size)
        return FRAME_NONE;
    *body = link->in + link->in_start + 4;
    pass_over(link, 4 + *size);
    link->in_step = true;
    return FRAME_WHOLE;
}

struct mp_writer link_begin(struct link *link)
{
    if (link->out_start > 0) {
        memmove(link->out, link->out + link->out_start, link->out_used);
        link->out_start = 0;
    }
    size_t used = link->out_used + 4 < LINK_OUT_BYTES ? link->out_used + 4 : LINK_OUT_BYTES;
    return (struct mp_writer){.data = link->out + used, .size = LINK_OUT_BYTES - used};
}

void link_end(struct link *link, struct mp_writer *writer)
{
    if (!link->connected)
        return;
    if (writer->full || writer->used > LINK_MAX_FRAME_BYTES) {
        fprintf(stderr, "agent: a reply did not fit into the send buffer of %d bytes and was discarded\n",
                LINK_OUT_BYTES);
        return;
    }
    uint8_t *head = writer->data - 4;
    for (int i = 0; i < 4; i++)
        head[i] = (uint8_t)(writer->used >> (8 * i));
    link->out_used += 4 + writer->used;
}
