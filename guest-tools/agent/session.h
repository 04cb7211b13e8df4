/* SPDX-License-Identifier: Apache-2.0 */
/* Ends a session with all its process groups: the jobs of a shell, in the foreground, background or stopped.
 */
#ifndef GHOSTCARD_AGENT_SESSION_H
#define GHOSTCARD_AGENT_SESSION_H

#include <sys/types.h>

/* Sends SIGKILL to every process of the session that `leader` leads. Who has left it (setsid) lives on. */
void session_kill(pid_t leader);

#endif
