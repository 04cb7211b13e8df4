/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that run for the host: started in a session of their own, fed on standard input, read on standard
 * output and error or on a terminal, held to a time limit, reaped. Nothing here blocks; what could grow is
 * bounded by the two windows.
 *
 * Flow control (qemu/channel/protocol.ts, "credit"): at most WINDOW_BYTES of input are queued for a command,
 * at most WINDOW_BYTES of its output are on their way to the host; when a window is used up the command's own
 * pipe or terminal fills, and it waits.
 */
#ifndef GHOSTCARD_AGENT_COMMAND_H
#define GHOSTCARD_AGENT_COMMAND_H

#include "link.h"
#include "request.h"

enum { MAX_COMMANDS = 64 };

/* Each answers the host itself, with an error if it must. */
void command_start(struct link *link, const struct request *request);
void command_signal(struct link *link, const struct request *request);
void command_resize(struct link *link, const struct request *request);

/* False: no command has that id. */
bool command_input(struct link *link, const struct request *request);
bool command_end_input(struct link *link, uint32_t id);
bool command_credit(struct link *link, uint32_t id, uint64_t bytes);

bool command_is_running(uint32_t id);

/* Collects every child that has died: ours, and the orphans of commands. */
void command_reap(void);

/* Kills what is over its time, moves input and output as far as they go, reports who is finished. */
void command_pump(struct link *link, uint64_t now_ms);

/* Adds what to poll for; returns the number of entries (at most 3 per command). */
size_t command_poll(const struct link *link, struct pollfd *entries);

/* Time until the next limit is reached, at most `at_most_ms`. */
int command_wait_ms(uint64_t now_ms, int at_most_ms);

/* The host is gone: kills every command's session and forgets it. */
void command_abandon_all(void);

#endif
