/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is doing at its time limit; see late.h.
 *
 * Source: Linux Documentation/filesystems/proc.rst (stat, comm, stack, wchan).
 */
#define _GNU_SOURCE
#include "late.h"
#include "session.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FUNCTIONS = 6 };

struct line {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line->text + line->used, line->size - line->used, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->used += (size_t)length < line->size - line->used ? (size_t)length : line->size - line->used - 1;
}

/* Reads a file of /proc/PID. An empty text if it cannot be read. */
static void read_text(const char *pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
    FILE *file = fopen(path, "re");
    text[file ? fread(text, 1, size - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
}

/* The stack has a line "[<0>] function+0x1/0x2" for each function, innermost first. */
static void add_stack(struct line *line, char *stack)
{
    int count = 0;
    for (char *at = strtok(stack, "\n"); at && count < MAX_FUNCTIONS; at = strtok(NULL, "\n"), count++) {
        char *name = strstr(at, "] ");
        name = name ? name + 2 : at;
        add(line, " %s %.*s", count == 0 ? "at" : "from", (int)strcspn(name, "+"), name);
    }
}

static void add_process(struct line *line, const char *pid)
{
    char name[64], stat[512], stack[4096], sleeps_in[128], state = '?';
    read_text(pid, "comm", name, sizeof(name));
    read_text(pid, "stat", stat, sizeof(stat));
    read_text(pid, "stack", stack, sizeof(stack));
    read_text(pid, "wchan", sleeps_in, sizeof(sleeps_in));
    const char *name_end = strrchr(stat, ')');
    if (name_end)
        sscanf(name_end, ") %c", &state);
    add(line, "%s%s (process %s, state %c)", line->used > 0 ? "; " : "", name, pid, state);
    if (stack[0] != '\0')
        add_stack(line, stack);
    else if (sleeps_in[0] != '\0' && strcmp(sleeps_in, "0") != 0)
        add(line, " at %s", sleeps_in);
}

void late_describe(pid_t leader, char *text, size_t size)
{
    struct line line = {.text = text, .size = size};
    text[0] = '\0';
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && session_has(leader, entry->d_name))
            add_process(&line, entry->d_name);
    }
    if (processes)
        closedir(processes);
}
