/* SPDX-License-Identifier: Apache-2.0 */
/* What a command is doing at its time limit: its processes, and where in the kernel they wait. */
#ifndef GHOSTCARD_AGENT_LATE_H
#define GHOSTCARD_AGENT_LATE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Describes the living processes of the session that `leader` leads, in one line of at most `size` - 1 bytes:
 * "sleep (process 12, state S) at hrtimer_nanosleep from do_nanosleep".
 */
void late_describe(pid_t leader, char *text, size_t size);

#endif
