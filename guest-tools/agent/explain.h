/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explains why a program cannot be run, where errno alone is misleading: "no such file" for a file that
 * exists.
 */
#ifndef GHOSTCARD_AGENT_EXPLAIN_H
#define GHOSTCARD_AGENT_EXPLAIN_H

#include <stddef.h>

/*
 * Executes the program like execvp, with PATH of `environ`. Returns only on failure, with errno, and in `why`
 * the cause, as seen from the root and the folder of the caller; empty if errno says it all.
 */
void exec_or_explain(char *const *argv, char *why, size_t size);

#endif
