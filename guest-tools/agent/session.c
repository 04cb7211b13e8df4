/* SPDX-License-Identifier: Apache-2.0 */
/* Kills a session; see session.h. The kernel has no call for that, so its members are looked up in /proc. */
#define _GNU_SOURCE
#include "session.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A process that was sent SIGKILL cannot fork any more, so a second sweep finds what the first one missed.
 * More sweeps cover children that were forked during a sweep.
 */
enum { MAX_SWEEPS = 4 };

/* /proc/PID/stat: "pid (name) state ppid pgrp session". */
bool session_has(pid_t leader, const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    const char *name_end = strrchr(text, ')'); /* a name can contain anything, even parentheses */
    char state;
    int session;
    return name_end && sscanf(name_end, ") %c %*d %*d %d", &state, &session) == 2 && session == leader &&
           state != 'Z';
}

/* Returns whether there was a process to kill. */
static bool sweep(pid_t leader)
{
    DIR *processes = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !session_has(leader, entry->d_name))
            continue;
        kill(atoi(entry->d_name), SIGKILL);
        found = true;
    }
    if (processes)
        closedir(processes);
    return found;
}

void session_kill(pid_t leader)
{
    kill(-leader, SIGKILL); /* enough for most commands, and needs no /proc */
    for (int i = 0; i < MAX_SWEEPS && sweep(leader); i++)
        ;
}
