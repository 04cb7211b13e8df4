/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo-terminal: the agent has the master, and a command the slave as its controlling terminal. */
#ifndef GHOSTCARD_AGENT_TERMINAL_H
#define GHOSTCARD_AGENT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Each is -1 if there is none. The agent also keeps the slave open while the command runs, so that the master
 * does not reach its end before, even if the command closes and reopens the terminal.
 */
struct terminal {
    int master, slave;
};

/* Upper bound of what a terminal holds for the reader of its master. */
enum { TERMINAL_HOLDS_BYTES = 64 * 1024 };

/*
 * Opens a terminal of the devpts that is mounted below `root`, so that its name is valid for the command; of
 * the agent's own devpts if none is mounted there, or without a root. The master is non-blocking. False with
 * errno, and nothing left open.
 */
bool terminal_open(const char *root, uint32_t columns, uint32_t rows, struct terminal *terminal);

/*
 * In a child that leads a session: makes the terminal its controlling terminal and its three standard
 * streams.
 */
bool terminal_adopt(const struct terminal *terminal);

/* Sets the size. The foreground process group gets SIGWINCH if it changes. */
bool terminal_resize(int master, uint32_t columns, uint32_t rows);

/* The character that a reader takes for the end of input at the start of a line (usually ^D). */
uint8_t terminal_end_character(int master);

#endif
