/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: moments that programs in the guest want to find again in the host's trace (gc_mark in lib/mark.c).
 *
 * A program connects to a socket of ours in the abstract namespace, which is there in every chroot, sends the
 * text in one message, and waits until we close the connection: when the host has said that the mark is in
 * its place, or when there is no host to tell.
 */
#ifndef GHOSTCARD_AGENT_MARK_H
#define GHOSTCARD_AGENT_MARK_H

#include "link.h"

/* Programs that may wait at once; others wait in the socket's backlog. */
enum { MAX_MARKS = 16 };

/* Takes programs from now on; they find the socket by its usual name, or by GHOSTCARD_AGENT in the
 * environment that commands get. Without it, which a line on stderr says, nothing can be marked. */
void mark_listen(const struct link *link);

/* The host says that the mark is in its place. One that is not waited for any more is of no interest. */
void mark_done(uint32_t id);

/* Takes what programs want to be marked, and lets go of those that have gone. */
void mark_pump(struct link *link);

/* Adds what to poll for; returns the number of entries (at most 1 + MAX_MARKS). */
size_t mark_poll(const struct link *link, struct pollfd *entries);

/* The host is gone: whoever waits goes on. */
void mark_abandon_all(void);

#endif
