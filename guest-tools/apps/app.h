/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by all apps: options, counted checks, a report for people and one for programs.
 *
 * Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage or environment. With --json the last line
 * of standard output is a JSON object, and the text for people goes to standard error.
 */
#ifndef GHOSTCARD_APP_H
#define GHOSTCARD_APP_H

#include "../driver/refcard.h"

#include <stdio.h>

enum { EXIT_PASSED = 0, EXIT_CHECK_FAILED = 1, EXIT_ENVIRONMENT = 2 };

/* The limit of every wait in the apps, long enough for a busy machine under emulation. */
enum { APP_WAIT_MS = 10000 };

struct app {
    const char *name;
    /* Options and other arguments. */
    char device[GC_NAME_SIZE];
    bool irq_given, json;
    enum gc_irq_mode irq_mode;
    int argument_count;
    char **arguments;
    /* Results. */
    FILE *text; /* for people */
    struct ref_card card;
    const char *driver;
    uint64_t started_ns, dma_ns; /* dma_ns: total time from doorbell to completion */
    uint64_t bytes, interrupts;
    unsigned checks, failed, not_possible;
    bool cannot_go_on;
    /* How often the driver had to handle each event: a failure, unless the app is about that. */
    uint64_t noticed[REF_EVENT_COUNT];
    bool copes;
    char first_failure[600];
    char excuses[2000];   /* what was not possible, one line each */
    char extra_json[600]; /* more members, each preceded by a comma */
};

/* The parts of the usage text that differ between apps; `arguments` as in "ADDRESS[=VALUE]…". */
struct app_usage {
    const char *name, *purpose, *arguments;
    /*
     * Handles an option of the app, given as "--name value" or "--name". False: unknown or, with *takes_value
     * set, an invalid value. May be NULL.
     */
    bool (*option)(const char *name, const char *value, bool *takes_value);
};

/* Parses the options. Exits on --help and on wrong usage. */
void app_begin(struct app *app, const struct app_usage *usage, int argc, char **argv);

/* Opens the card given by the options, with interrupts enabled. False: only app_end is left to do. */
bool app_open_card(struct app *app);

/* Opens the device without the card's driver. */
struct gc_device *app_open_device(struct app *app);

/*
 * Counts a check, prints its result and returns `passed`. Failures are always printed, successes only if
 * `format` is not NULL.
 */
__attribute__((format(printf, 3, 4))) bool app_check(struct app *app, bool passed, const char *format, ...);

/* A check that could not be made: counts as failed, with the error's message. Returns false. */
bool app_error(struct app *app, const struct gc_error *error);

/* The environment is unsuitable: exit code 2. Returns false. */
bool app_give_up(struct app *app, const char *message);

/* Something that the driver does not support, and why: printed and counted once, and not a failure. */
__attribute__((format(printf, 2, 3))) void app_not_possible(struct app *app, const char *format, ...);

/* The size for each of `count` DMA buffers: `wanted` bytes, or less if the driver has less. */
size_t app_dma_size(struct app *app, size_t wanted, unsigned count);

/* Prints text for people. */
__attribute__((format(printf, 2, 3))) void app_say(struct app *app, const char *format, ...);

/* Adds a member to the JSON object. */
void app_json_number(struct app *app, const char *name, uint64_t value);
void app_json_text(struct app *app, const char *name, const char *value);

/* For app_end: prints the JSON object, with what the app has added. */
void app_print_json(const struct app *app, bool ok, double seconds);

/* Closes the card, reports, and returns the exit code. */
int app_end(struct app *app);

#endif
