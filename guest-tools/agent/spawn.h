/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a process in its own session and process group, with pipes or a terminal to the agent. */
#ifndef GHOSTCARD_AGENT_SPAWN_H
#define GHOSTCARD_AGENT_SPAWN_H

#include "request.h"

#include <sys/types.h>

struct spawned {
    pid_t pid; /* also its process group and its session */
    /*
     * The agent's ends, non-blocking. stdin_fd is -1 if the request has no input: the process reads
     * /dev/null. With a terminal, the first two are its master (two descriptors), and stderr_fd is -1.
     */
    int stdin_fd, stdout_fd, stderr_fd;
    int slave_fd; /* the terminal's slave, to be kept open while the process runs; -1 without one */
    int error;    /* on failure: errno, and what was attempted */
    char message[1280];
};

/* True once execve has succeeded. False with `error` and `message`, and nothing left behind. */
bool spawn(const struct request *request, struct spawned *spawned);

#endif
