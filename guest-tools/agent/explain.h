/* SPDX-License-Identifier: Apache-2.0 */
/* Says why a program cannot be run where errno alone misleads: "no such file" of a file that is there. */
#ifndef GHOSTCARD_AGENT_EXPLAIN_H
#define GHOSTCARD_AGENT_EXPLAIN_H

#include <stddef.h>

/*
 * Becomes the program as execvp does, with PATH of `environ`. Returns only if that fails, with errno, and in
 * `why` the cause in words, from the root and the folder of the caller; empty if errno says it all.
 */
void exec_or_explain(char *const *argv, char *why, size_t size);

#endif
