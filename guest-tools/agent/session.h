/* SPDX-License-Identifier: Apache-2.0 */
/* Kills a session with all its process groups: a shell's foreground, background and stopped jobs. */
#ifndef GHOSTCARD_AGENT_SESSION_H
#define GHOSTCARD_AGENT_SESSION_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Sends SIGKILL to every process of the session that `leader` leads. Processes that have left it (setsid)
 * survive.
 */
void session_kill(pid_t leader);

/* Whether the process `pid`, in decimal, lives and belongs to the session. */
bool session_has(pid_t leader, const char *pid);

#endif
