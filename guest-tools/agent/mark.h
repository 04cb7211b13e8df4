/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: moments that a program in the guest wants to find again in the host's trace (gc_mark in lib/mark.c).
 *
 * A program connects to the agent's socket in the abstract namespace, which exists in every chroot, sends the
 * text in one message, and waits until the agent closes the connection: when the host has placed the mark, or
 * at once if there is no host.
 */
#ifndef GHOSTCARD_AGENT_MARK_H
#define GHOSTCARD_AGENT_MARK_H

#include "link.h"

/* Number of programs that can wait at once. Others wait in the socket's backlog. */
enum { MAX_MARKS = 16 };

/*
 * Accepts programs from now on. They find the socket by its default name, or by GHOSTCARD_AGENT in the
 * environment of commands. If the socket cannot be opened, a line on stderr says so, and marks do nothing.
 */
void mark_listen(const struct link *link);

/* The host has placed the mark. Ignored if its program no longer waits. */
void mark_done(uint32_t id);

/* Accepts marks of programs, and releases programs that have exited. */
void mark_pump(struct link *link);

/* Adds the descriptors to poll. Returns the number of entries (at most 1 + MAX_MARKS). */
size_t mark_poll(const struct link *link, struct pollfd *entries);

/* The host has disconnected: all waiting programs continue. */
void mark_abandon_all(void);

#endif
