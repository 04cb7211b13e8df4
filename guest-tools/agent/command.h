/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that run for the host. Each has its own session, input from the host, output on pipes or a
 * terminal, and a time limit, and is reaped. Nothing here blocks, and the two windows bound the memory in
 * use.
 *
 * Flow control (qemu/channel/protocol.ts, "credit"): at most WINDOW_BYTES of input are queued for a command,
 * and at most WINDOW_BYTES of its output are in transit to the host. When a window is used up, the command's
 * own pipe or terminal fills up and the command blocks.
 */
#ifndef GHOSTCARD_AGENT_COMMAND_H
#define GHOSTCARD_AGENT_COMMAND_H

#include "link.h"
#include "request.h"

enum { MAX_COMMANDS = 64 };

/* Each replies to the host itself, also with errors. */
void command_start(struct link *link, const struct request *request);
void command_signal(struct link *link, const struct request *request);
void command_resize(struct link *link, const struct request *request);

/* False: no command has this id. */
bool command_input(struct link *link, const struct request *request);
bool command_end_input(struct link *link, uint32_t id);
bool command_credit(struct link *link, uint32_t id, uint64_t bytes);

bool command_is_running(uint32_t id);

/* Reaps every dead child: commands, and the orphans that they left. */
void command_reap(void);

/*
 * Kills commands at their time limit, moves input and output as far as possible, and reports finished
 * commands.
 */
void command_pump(struct link *link, uint64_t now_ms);

/* Adds the descriptors to poll. Returns the number of entries (at most 3 per command). */
size_t command_poll(const struct link *link, struct pollfd *entries);

/* Time until the next time limit, at most `at_most_ms`. */
int command_wait_ms(uint64_t now_ms, int at_most_ms);

/* The host has disconnected: kills the session of every command and discards its state. */
void command_abandon_all(void);

#endif
