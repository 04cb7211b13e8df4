/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by gc_mark and the agent. */
#ifndef GHOSTCARD_MARK_H
#define GHOSTCARD_MARK_H

/* Name of the agent's socket in the abstract namespace; an environment variable can replace it. */
#define GC_AGENT_NAME "ghostcard-agent"
#define GC_AGENT_VARIABLE "GHOSTCARD_AGENT"

/* Maximum length of the text. */
enum { GC_MARK_BYTES = 1024 };

#endif
