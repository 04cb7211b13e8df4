/* SPDX-License-Identifier: Apache-2.0 */
/* What gc_mark and the agent agree on. */
#ifndef GHOSTCARD_MARK_H
#define GHOSTCARD_MARK_H

/* Of the agent's socket, in the abstract namespace; a variable of the environment may name another. */
#define GC_AGENT_NAME "ghostcard-agent"
#define GC_AGENT_VARIABLE "GHOSTCARD_AGENT"

/* Longest text. */
enum { GC_MARK_BYTES = 1024 };

#endif
