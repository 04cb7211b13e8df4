/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo-terminal: the agent has its master, a command its slave as controlling terminal. */
#ifndef GHOSTCARD_AGENT_TERMINAL_H
#define GHOSTCARD_AGENT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* -1 each while there is none. The agent holds the slave as well, for as long as the command runs: so the
 * master is never at its end before, whoever closes and opens the terminal meanwhile. */
struct terminal {
    int master, slave;
};

/* What a terminal holds for its master's reader at one time is less than this. */
enum { TERMINAL_HOLDS_BYTES = 64 * 1024 };

/*
 * Opens a terminal of the devpts that is mounted below `root`, so that the command finds its name there; of
 * the agent's own if none is, or without a root. The master does not block. False with errno, and nothing
 * open.
 */
bool terminal_open(const char *root, uint32_t columns, uint32_t rows, struct terminal *terminal);

/* In a child that leads a session: makes the terminal its controlling terminal and its three streams. */
bool terminal_adopt(const struct terminal *terminal);

/* The foreground process group gets SIGWINCH if the size is another one. */
bool terminal_resize(int master, uint32_t columns, uint32_t rows);

/* The character that a reader at the start of a line takes for the end of its input (usually ^D). */
uint8_t terminal_end_character(int master);

#endif
